"""Pixels that are to be ignored count in no loss term."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from preceptor.knowledge.base import Loss
from preceptor.knowledge.feature.attention import AttentionTransferLoss
from preceptor.knowledge.feature.feature_mse import FeatureMSELoss
from preceptor.knowledge.feature.mgd import MGDLoss
from preceptor.knowledge.logits.soft_target import SoftTargetLoss
from preceptor.knowledge.mask.cwd import CWDLoss
from preceptor.knowledge.mask.dist_seg import DISTSegLoss
from preceptor.knowledge.mask.dsd import DSDLoss
from preceptor.knowledge.mask.emkd import EMKDLoss
from preceptor.knowledge.mask.fdwa_dkd import FDWAStyleLoss
from preceptor.knowledge.mask.fitnet_seg import FitNetSegLoss
from preceptor.knowledge.mask.ifvd import IFVDLoss
from preceptor.knowledge.mask.seg_kd import SegKDLoss
from preceptor.knowledge.mask.skd import SKDLoss
from preceptor.knowledge.task_loss import MaskLoss, dice_loss, focal_loss
from preceptor.networks.outputs import Knowledge
from preceptor.specs import IGNORED

from .edge import Edge, built, random_edge, tensors


def skd_pixels() -> SKDLoss:
    return SKDLoss(pairwise=False)


def skd_hinge() -> SKDLoss:
    return SKDLoss(holistic=True, critic="hinge")


OF_THE_OTHER_HALF: list[Callable[[], Loss]] = [
    AttentionTransferLoss, CWDLoss, DISTSegLoss, DSDLoss, EMKDLoss, FDWAStyleLoss, FeatureMSELoss, FitNetSegLoss,
    IFVDLoss, SegKDLoss, SoftTargetLoss, skd_pixels,
]  # fmt: skip
"""Those that are what they would be on an image without the ignored half."""
BY_A_RULE: list[Callable[[], Loss]] = [SKDLoss, skd_hinge]
"""Those whose pooling, or critic, depends on the size of the whole."""

several = pytest.mark.parametrize("classes", [2, 4])


def half_ignored(make: Callable[[], Loss], classes: int) -> tuple[Loss, Edge]:
    """A loss, and an edge on whose masks the right half is to be ignored."""
    loss = make()
    edge = random_edge(loss, classes=classes)
    if isinstance(loss, FeatureMSELoss):
        edge = replace(edge, teacher=torch.randn_like(tensors(edge.student)[0]))
    loss.ignores = True
    built(loss, edge, classes=classes).eval()  # an adapter's BatchNorm would see the whole batch
    edge.targets[..., 8:] = IGNORED
    return loss, edge


def changed(knowledge: Knowledge, change: Callable[[Tensor], Tensor]) -> Knowledge:
    found = tuple(map(change, tensors(knowledge)))
    return found if isinstance(knowledge, tuple) else found[0]


def other_right_half(maps: Tensor) -> Tensor:
    found = maps.clone()
    found[..., maps.shape[-1] // 2 :] = 5 * torch.randn_like(found[..., maps.shape[-1] // 2 :])
    return found


def left_half(maps: Tensor) -> Tensor:
    return maps[..., : maps.shape[-1] // 2]


@several
@pytest.mark.parametrize("make", OF_THE_OTHER_HALF, ids=lambda make: make.__name__)
def test_a_half_that_is_ignored_is_as_if_it_were_not_there(make: Callable[[], Loss], classes: int) -> None:
    loss, edge = half_ignored(make, classes)
    found = loss(edge.student, edge.teacher, edge.targets)
    alone = loss(changed(edge.student, left_half), changed(edge.teacher, left_half), left_half(edge.targets))
    loss.ignores = False
    wanted = loss(changed(edge.student, left_half), changed(edge.teacher, left_half), left_half(edge.targets))
    assert torch.equal(alone, wanted) or torch.allclose(alone, wanted, rtol=1e-4)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
    assert wanted > 0


@several
@pytest.mark.parametrize("make", [*OF_THE_OTHER_HALF, *BY_A_RULE], ids=lambda make: make.__name__)
def test_what_lies_in_an_ignored_half_changes_nothing_and_gets_no_gradient(
    make: Callable[[], Loss], classes: int
) -> None:
    loss, edge = half_ignored(make, classes)
    leaves = edge.leaves()
    torch.manual_seed(0)
    found = loss(edge.student, edge.teacher, edge.targets)
    found.backward()
    assert any(leaf.grad is not None for leaf in leaves)
    for leaf in leaves:
        if leaf.grad is not None:  # some parts are switched off, and FDWA's map is only looked at
            assert leaf.grad.isfinite().all()
            assert not leaf.grad[..., leaf.shape[-1] // 2 :].any()
    torch.manual_seed(0)
    with torch.no_grad():
        student, teacher = changed(edge.student, other_right_half), changed(edge.teacher, other_right_half)
    torch.manual_seed(0)
    torch.testing.assert_close(loss(student, teacher, edge.targets), found)


@pytest.mark.parametrize("make", [*OF_THE_OTHER_HALF, *BY_A_RULE, MGDLoss], ids=lambda make: make.__name__)
def test_nothing_is_learned_from_masks_that_are_ignored_whole(make: Callable[[], Loss]) -> None:
    loss, edge = half_ignored(make, 2)
    leaves = edge.leaves()
    found = loss(edge.student, edge.teacher, torch.full_like(edge.targets, IGNORED))
    assert found.isfinite()
    found.backward()
    assert not any(leaf.grad is not None and leaf.grad.any() for leaf in leaves)


def test_generation_errs_at_positions_that_count_only() -> None:
    """Its convolutions see what lies beside them, two positions far."""
    loss = MGDLoss()
    edge = random_edge(loss, size=64)
    loss.ignores = True
    built(loss, edge)
    edge.targets[..., 32:] = IGNORED
    student, teacher = tensors(edge.student)[0], tensors(edge.teacher)[0]
    uniform = torch.rand(2, 1, 16, 16)
    known = loss.known(edge.targets, teacher)
    found = loss.compare(student, teacher, uniform, known)
    far, anywhere = student.clone(), teacher.clone()
    far[..., 10:] = 7.0
    anywhere[..., 8:] = 7.0
    torch.testing.assert_close(loss.compare(far, anywhere, uniform, known), found)


@several
def test_the_task_loss_is_that_of_the_other_pixels(classes: int) -> None:
    logits = torch.randn(2, 1 if classes == 2 else classes, 4, 8)
    targets = torch.randint(classes, (2, 4, 8))
    targets[..., 4:] = IGNORED
    other = logits[..., :4], targets[..., :4]
    torch.testing.assert_close(MaskLoss(ignores=True)(logits, targets), focal_loss(*other) + dice_loss(*other))
    summed = MaskLoss(ignores=True, focal_reduction="sum", focal_alpha=0.25)
    torch.testing.assert_close(
        summed(logits, targets), focal_loss(*other, alpha=0.25, reduction="sum") + dice_loss(*other)
    )
    assert MaskLoss(ignores=True)(logits, torch.full_like(targets, IGNORED)).isfinite()


@pytest.mark.parametrize("size", [4, 8, 16])
def test_positions_of_a_smaller_map_count_where_the_nearest_pixel_does(size: int) -> None:
    loss = CWDLoss()
    targets = torch.zeros(1, 16, 16, dtype=torch.int64)
    targets[:, :8] = IGNORED
    assert loss.known(targets, torch.zeros(1, 3, size, size)) is None
    loss.ignores = True
    known = loss.known(targets, torch.zeros(1, 3, size, size))
    assert known is not None
    assert not known[:, : size // 2].any()
    assert known[:, size // 2 :].all()
    assert loss.known(targets, torch.zeros(1, 7)) is None
