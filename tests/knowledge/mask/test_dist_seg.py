"""DIST for masks."""

import numpy as np
import pytest
import torch

from preceptor.knowledge.mask.dist_seg import DISTSegLoss

from .edge import Edge, built, random_edge


def test_an_inverted_student_by_hand() -> None:
    """Foreground probabilities p and 1 - p correlate with -1: each class costs 2."""
    logits = torch.randn(2, 1, 4, 4)
    edge = Edge(logits, -logits, torch.zeros(2, 4, 4))
    actual = built(DISTSegLoss(beta=0.0), edge)(edge.student, edge.teacher, edge.targets)
    torch.testing.assert_close(actual, torch.tensor(2.0))


def test_classes_correlate_over_all_pixels_of_the_batch_as_numpy_says() -> None:
    edge = random_edge(DISTSegLoss(), classes=3, dtype=torch.float64)
    student, teacher = (side.softmax(dim=1).movedim(1, 0).flatten(1).numpy() for side in (edge.student, edge.teacher))
    correlations = [np.corrcoef(mine, theirs)[0, 1] for mine, theirs in zip(student, teacher, strict=True)]

    actual = built(DISTSegLoss(beta=0.0), edge, classes=3)(edge.student, edge.teacher, edge.targets)

    assert actual.item() == pytest.approx(1.0 - np.mean(correlations), rel=1e-9)


def test_two_classes_have_no_signal_within_a_pixel_and_say_so() -> None:
    edge = random_edge(DISTSegLoss())
    (student,) = edge.leaves()
    loss = built(DISTSegLoss(gamma=0.0), edge)
    (gradient,) = torch.autograd.grad(loss(edge.student, edge.teacher, edge.targets), [student])
    assert gradient.abs().max() < 1e-6
    assert "two classes" in loss.notes[0]
    assert not built(DISTSegLoss(), random_edge(DISTSegLoss(), classes=4), classes=4).notes
