import math

import pytest
import torch

from preceptor.errors import UserError
from preceptor.knowledge.logits.soft_target import SoftTargetLoss, soft_target_kl


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_two_classes_by_hand(temperature: float) -> None:
    """A teacher at (3/4, 1/4) and an undecided student: KL = 3/4 ln 3/2 + 1/4 ln 1/2."""
    teacher = torch.tensor([[temperature * math.log(3.0), 0.0]])
    expected = temperature**2 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    actual = soft_target_kl(torch.zeros(1, 2), teacher, temperature=temperature)
    torch.testing.assert_close(actual, torch.tensor(expected))


def test_gradient_is_temperature_times_probability_gap() -> None:
    """d/dz_s [T² KL] = T (p_s - p_t) / N; a wrong power of T or reduction cannot pass."""
    student, teacher = torch.randn(8, 5, requires_grad=True), torch.randn(8, 5)
    soft_target_kl(student, teacher, temperature=4.0).backward()
    gap = (student / 4.0).softmax(1) - (teacher / 4.0).softmax(1)
    torch.testing.assert_close(student.grad, 4.0 * gap.detach() / 8)


def test_reverse_swaps_the_roles() -> None:
    student, teacher = torch.randn(4, 3), torch.randn(4, 3)
    swapped = soft_target_kl(teacher, student, temperature=2.0)
    torch.testing.assert_close(soft_target_kl(student, teacher, temperature=2.0, direction="reverse"), swapped)


@pytest.mark.parametrize("shape", [(6, 1), (2, 1, 4, 4)])
def test_one_logit_is_the_pair_of_zero_and_it(shape: tuple[int, ...]) -> None:
    student, teacher = torch.randn(shape), torch.randn(shape)
    pairs = [torch.cat((torch.zeros(shape), one), dim=1) for one in (student, teacher)]
    expected = soft_target_kl(*pairs, temperature=3.0)
    torch.testing.assert_close(soft_target_kl(student, teacher, temperature=3.0), expected)


def test_pixels_count_like_samples() -> None:
    student, teacher = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    flat = [one.movedim(1, -1).reshape(-1, 3) for one in (student, teacher)]
    expected = soft_target_kl(*flat, temperature=2.0)
    torch.testing.assert_close(soft_target_kl(student, teacher, temperature=2.0), expected)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(UserError, match="kd: temperature must be above 0, got 0"):
        SoftTargetLoss(temperature=0)
    with pytest.raises(UserError, match="kd: direction must be `forward` or `reverse`"):
        SoftTargetLoss(direction="up")  # type: ignore[arg-type]
