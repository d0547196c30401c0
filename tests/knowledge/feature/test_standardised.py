import pytest
import torch
from torch import nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Probe
from preceptor.knowledge.feature.standardised import StandardisedLoss, standardised


def probe(student: torch.Tensor, teacher: torch.Tensor, *, teacher_learns: bool = False) -> Probe:
    return Probe(
        edge="T->S1",
        task="classification",
        classes=2,
        batch_size=4,
        student=student,
        teacher=teacher,
        teacher_learns=teacher_learns,
    )


def test_every_dimension_has_mean_0_and_deviation_1_and_a_constant_one_is_0() -> None:
    features = torch.randn(50, 3, dtype=torch.float64) * torch.tensor([1.0, 100.0, 0.0]) + 5.0
    found = standardised(features, features.mean(0), features.std(0, correction=0))
    torch.testing.assert_close(found.mean(0), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(found.std(0, correction=0), torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))


def test_the_loss_by_hand() -> None:
    """Gaps of 1/2 and 3 with beta 1: (1/8 + 5/2) / 2."""
    loss = StandardisedLoss()
    loss.build(probe(torch.zeros(1, 2), torch.zeros(1, 2)))
    loss.projector = nn.Identity()
    loss.take_statistics(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0]))
    teacher = torch.tensor([[3.0, 10.0]])  # standardised: 1, 2
    value = loss(torch.tensor([[1.5, 5.0]]), teacher, torch.zeros(1).long())
    torch.testing.assert_close(value, torch.tensor(2.625 / 2))


def test_maps_of_another_grid_are_brought_to_the_teachers() -> None:
    loss = StandardisedLoss()
    loss.build(probe(torch.zeros(1, 3, 2, 2), torch.zeros(1, 5, 4, 4)))
    value = loss(torch.randn(2, 3, 2, 2), torch.randn(2, 5, 4, 4), torch.zeros(2).long())
    assert value.isfinite()
    assert loss.mean.shape == (5,)


def test_statistics_are_part_of_what_a_checkpoint_keeps() -> None:
    loss = StandardisedLoss()
    loss.build(probe(torch.zeros(1, 2), torch.zeros(1, 3)))
    loss.take_statistics(torch.arange(3.0), torch.ones(3))
    assert loss.state_dict()["mean"].tolist() == [0.0, 1.0, 2.0]


def test_a_teacher_that_learns_and_taps_of_two_kinds_are_refused() -> None:
    with pytest.raises(UserError, match="goes on learning"):
        StandardisedLoss().build(probe(torch.zeros(1, 2), torch.zeros(1, 3), teacher_learns=True))
    with pytest.raises(UserError, match="Name `embedding` for both"):
        StandardisedLoss().build(probe(torch.zeros(1, 2), torch.zeros(1, 3, 4, 4)))
