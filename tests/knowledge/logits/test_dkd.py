import torch

from preceptor.knowledge.logits.dkd import DKDLoss, decoupled_kl, without_target
from preceptor.knowledge.logits.soft_target import soft_target_kl


def test_without_target_by_hand() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert without_target(logits, torch.tensor([0, 2])).tolist() == [[2.0, 3.0], [4.0, 5.0]]


def test_the_parts_make_up_kd() -> None:
    """KD = TCKD + (1 - p_t[y]) NCKD, the identity that the paper starts from."""
    student, teacher = torch.randn(6, 5, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    labels = torch.arange(6) % 5
    target, others = decoupled_kl(student, teacher, labels, temperature=4.0)
    not_target = 1.0 - (teacher / 4.0).softmax(1).gather(1, labels[:, None])[:, 0]
    expected = soft_target_kl(student, teacher, temperature=4.0)
    torch.testing.assert_close((target + not_target * others).mean(), expected)


def test_with_two_classes_only_the_target_part_is_left() -> None:
    student, teacher, labels = torch.randn(6, 1), torch.randn(6, 1), torch.arange(6) % 2
    target, others = decoupled_kl(student, teacher, labels, temperature=4.0)
    assert others.abs().max() == 0
    torch.testing.assert_close(target.mean(), soft_target_kl(student, teacher, temperature=4.0))


def test_pixels_have_values_of_their_own() -> None:
    student, teacher = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    labels = torch.randint(3, (2, 4, 5))
    target, others = decoupled_kl(student, teacher, labels, temperature=1.0)
    assert target.shape == others.shape == labels.shape
    flat = [one.movedim(1, -1).reshape(-1, 3) for one in (student, teacher)]
    expected = decoupled_kl(*flat, labels.flatten(), temperature=1.0)
    torch.testing.assert_close(target.flatten(), expected[0])
    torch.testing.assert_close(others.flatten(), expected[1])


def test_a_target_probability_that_underflows_keeps_its_gradient() -> None:
    student = torch.tensor([[0.0, 1000.0, 0.0]], requires_grad=True)
    DKDLoss(temperature=1.0)(student, torch.tensor([[9.0, 0.0, 0.0]]), torch.tensor([0])).backward()
    assert student.grad is not None
    assert student.grad[0, 0] < -0.9
