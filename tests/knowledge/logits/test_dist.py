import torch

from preceptor.knowledge.logits.dist import correlation_gaps


def test_a_student_in_reverse_order_by_hand() -> None:
    """Probabilities (a, 1/3, 1/3 + d) against their mirror image correlate by -1: 1 - (-1) = 2."""
    teacher = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64).log()
    student = torch.tensor([[1 / 3 + 2 / 15, 1 / 3 + 1 / 30, 1 / 3 - 1 / 6]], dtype=torch.float64).log()
    rows, _ = correlation_gaps(student, teacher, temperature=1.0)
    torch.testing.assert_close(rows, torch.tensor(2.0, dtype=torch.float64))


def test_columns_are_numpys_correlation() -> None:
    student, teacher = torch.randn(8, 3, dtype=torch.float64), torch.randn(8, 3, dtype=torch.float64)
    columns = [
        torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(student.softmax(1).T, teacher.softmax(1).T, strict=True)
    ]
    torch.testing.assert_close(
        correlation_gaps(student, teacher, temperature=1.0)[1], 1.0 - torch.stack(columns).mean()
    )


def test_with_two_classes_rows_have_no_gradient() -> None:
    student = torch.randn(6, 2, requires_grad=True)
    rows, columns = correlation_gaps(student, torch.randn(6, 2), temperature=1.0)
    assert torch.autograd.grad(rows, student, retain_graph=True)[0].abs().max() < 1e-4
    assert torch.autograd.grad(columns, student)[0].abs().max() > 1e-3


def test_probabilities_that_do_not_vary_correlate_zero() -> None:
    rows, columns = correlation_gaps(torch.zeros(4, 3), torch.randn(4, 3), temperature=2.0)
    assert rows.item() == columns.item() == 4.0
