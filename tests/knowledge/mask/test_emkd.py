"""Efficient medical knowledge distillation."""

import pytest
import torch

from preceptor.knowledge.mask.emkd import EMKDLoss, importance_distance, region_affinity, region_affinity_distance

from .edge import built, random_edge


def test_importance_of_other_places_by_hand() -> None:
    """All importance at one place, and at another: 1² + 1²."""
    student, teacher = torch.zeros(1, 2, 2, 2), torch.zeros(1, 3, 2, 2)
    student[0, 1, 0, 0], teacher[0, 2, 1, 1] = -0.5, 7.0
    torch.testing.assert_close(importance_distance(student, teacher), torch.tensor(2.0))


def test_region_affinity_by_hand() -> None:
    """Background (1, 0), foreground (1, 1): cos 45°, whatever the number of pixels."""
    features = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [2.0, 2.0]]).T.view(1, 2, 2, 2)
    targets = torch.tensor([[[0, 0], [1, 2]]])
    torch.testing.assert_close(region_affinity(features, targets), torch.tensor([0.5**0.5]))


@pytest.mark.parametrize("label", [0, 1])
def test_one_region_alone_teaches_nothing(label: int) -> None:
    student, targets = torch.randn(2, 3, 4, 4, requires_grad=True), torch.full((2, 8, 8), label)
    loss = region_affinity_distance(student, torch.randn(2, 5, 4, 4), targets)
    loss.backward()
    assert loss == 0.0
    assert student.grad is not None
    assert not student.grad.any()


def test_maps_of_other_sizes_each_take_their_own_mask() -> None:
    targets = torch.zeros(1, 8, 8, dtype=torch.int64)
    targets[:, :4] = 1
    teacher = torch.randn(1, 3, 4, 4)
    same = teacher.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert region_affinity_distance(same, teacher, targets) < 1e-4


def test_the_parts_add_up_with_their_weights() -> None:
    off = {"pmd_weight": 0.0, "imd_weight": 0.0, "rad_weight": 0.0}
    edge = random_edge(EMKDLoss())
    parts = [
        built(EMKDLoss(**{**off, name: weight}), edge)(edge.student, edge.teacher, edge.targets)
        for name, weight in (("pmd_weight", 0.1), ("imd_weight", 0.9), ("rad_weight", 0.9))
    ]
    whole = built(EMKDLoss(), edge)(edge.student, edge.teacher, edge.targets)
    torch.testing.assert_close(torch.stack(parts).sum(), whole)
