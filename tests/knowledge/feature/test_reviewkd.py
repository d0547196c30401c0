import pytest
import torch

from preceptor.knowledge.feature.reviewkd import ReviewKDLoss, hierarchical_context

from ..networks import CNN, WIDE_CNN, edge, made_up


def test_levels_by_hand() -> None:
    """A 2x2 map of errors 1, 1, 1, 5: itself 7, its mean 4; only the pool to 1x1 is smaller: (7 + 4/2) / 1.5."""
    student = torch.zeros(1, 1, 2, 2)
    teacher = torch.tensor([[[[1.0, 1.0], [1.0, 5.0]]]])
    assert hierarchical_context([student], [teacher]).item() == pytest.approx((7.0 + 4.0 / 2) / 1.5)


def test_reviewed_maps_have_the_teachers_shapes() -> None:
    student = made_up(CNN, "classification", batch=2, classes=2)
    teacher = made_up(WIDE_CNN, "classification", batch=2, classes=2, seed=1)
    one = edge("reviewkd", "classification", student, teacher, classes=2)
    assert isinstance(one.loss, ReviewKDLoss)
    wanted = [tensor if tensor.ndim == 4 else tensor[:, :, None, None] for tensor in one.teacher]
    given = [tensor if tensor.ndim == 4 else tensor[:, :, None, None] for tensor in one.student]
    assert [tensor.shape for tensor in one.loss.review(given, wanted)] == [tensor.shape for tensor in wanted]
    assert len(wanted) == 5
