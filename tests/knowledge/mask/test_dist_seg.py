"""DIST for masks."""

import numpy as np
import pytest
import torch

from preceptor.knowledge.mask.dist_seg import DISTSeg, pearson, pixel_correlation_distance

from .edge import built, random_edge


def test_correlation_equals_numpy() -> None:
    first, second = torch.randn(7, dtype=torch.float64), torch.randn(7, dtype=torch.float64)
    expected = np.corrcoef(first.numpy(), second.numpy())[0, 1]
    assert pearson(first, second, dim=0).item() == pytest.approx(expected, rel=1e-7)


def test_constants_do_not_correlate_and_pass_no_gradient() -> None:
    constant = torch.full((5,), 0.5, requires_grad=True)
    correlation = pearson(constant, torch.randn(5), dim=0)
    correlation.backward()
    assert correlation == 0.0
    assert constant.grad is not None
    assert not constant.grad.any()


def test_an_inverted_student_by_hand() -> None:
    """Foreground probabilities p and 1 - p correlate with -1, each class costs 2."""
    student = torch.randn(2, 1, 4, 4)
    pair = torch.cat([torch.zeros_like(student), student], dim=1)
    actual = pixel_correlation_distance(pair, -pair, beta=0.0, gamma=1.0, temperature=1.0)
    torch.testing.assert_close(actual, torch.tensor(2.0))


def test_two_classes_leave_the_correlation_within_a_pixel_out_and_say_so() -> None:
    edge = random_edge(DISTSeg())
    loss, without = built(DISTSeg(), edge), built(DISTSeg(beta=0.0), edge)
    call = edge.student, edge.teacher, edge.targets
    assert torch.equal(loss(*call), without(*call))
    assert "two classes" in loss.notes[0]
    assert not built(DISTSeg(), random_edge(DISTSeg(), classes=4), classes=4).notes
