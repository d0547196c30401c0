import pytest
import torch

from preceptor.errors import UserError
from preceptor.knowledge.base import Probe
from preceptor.knowledge.feature.exits import ExitFeatureLoss, active_feature_distance

TARGETS = torch.zeros(1, dtype=torch.long)


def probe(student: torch.Tensor, teacher: torch.Tensor) -> Probe:
    return Probe(edge="S1->E1", task="classification", classes=3, batch_size=4, student=student, teacher=teacher)


def test_places_where_both_are_inactive_do_not_count() -> None:
    exit_features, last = torch.tensor([[1.0, -1.0, -2.0]]), torch.tensor([[0.0, 2.0, -5.0]])
    assert active_feature_distance(exit_features, last).item() == 1.0 + 9.0


def test_at_the_published_batch_the_loss_is_the_published_sum() -> None:
    student, teacher = torch.randn(8, 5), torch.randn(8, 5)
    found = ExitFeatureLoss(batch=8)(student, teacher, TARGETS)
    torch.testing.assert_close(found, active_feature_distance(student, teacher))


def test_it_does_not_grow_with_the_batch() -> None:
    """128 times (1 + 9), however often that image is there."""
    student, teacher = torch.tensor([[1.0, -1.0, -2.0]]), torch.tensor([[0.0, 2.0, -5.0]])
    for count in (1, 3, 8):
        assert ExitFeatureLoss()(student.repeat(count, 1), teacher.repeat(count, 1), TARGETS).item() == 1280.0


def test_a_map_is_pooled() -> None:
    last = torch.rand(4, 6, 3, 3)
    assert ExitFeatureLoss()(last.mean(dim=(2, 3)), last, TARGETS).item() == 0.0


def test_unlike_widths_are_refused() -> None:
    with pytest.raises(UserError, match=r"exit_features on S1->E1: features differ in length: student 5, teacher 6"):
        ExitFeatureLoss().build(probe(torch.zeros(1, 5), torch.zeros(1, 6, 2, 2)))


def test_an_empty_batch_to_sum_over_is_refused() -> None:
    with pytest.raises(UserError, match="batch must be at least 1, got 0"):
        ExitFeatureLoss(batch=0)
