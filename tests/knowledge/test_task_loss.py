import math

import pytest
import torch
import torch.nn.functional as F

from preceptor.errors import UserError
from preceptor.knowledge.task_loss import (
    ClassificationLoss,
    MaskLoss,
    balanced_class_weights,
    build_task_loss,
    dice_loss,
    focal_loss,
)
from preceptor.specs import TaskLossSpec


def random_masks(channels, dtype=torch.float64):
    generator = torch.Generator().manual_seed(channels)
    logits = torch.randn(3, channels, 4, 5, generator=generator, dtype=dtype)
    return logits, torch.randint(max(channels, 2), (3, 4, 5), generator=generator)


def as_two_channels(logits):
    """A one-logit head z is the two-class pair (0, z)."""
    return torch.cat([torch.zeros_like(logits), logits], dim=1)


def test_focal_by_hand():
    """One undecided pixel: (1 - 1/2)² ln 2; one at 3/4 for the wrong side: (3/4)² ln 4."""
    logits = torch.tensor([0.0, math.log(3.0)]).view(1, 1, 1, 2)
    expected = torch.tensor([0.25 * math.log(2.0), 0.75**2 * math.log(4.0)])
    targets = torch.zeros(1, 1, 2, dtype=torch.int64)
    torch.testing.assert_close(focal_loss(logits, targets), expected.mean())
    torch.testing.assert_close(focal_loss(logits, targets, reduction="sum"), expected.sum())
    torch.testing.assert_close(focal_loss(logits, targets, alpha=0.25), 0.75 * expected.mean())
    torch.testing.assert_close(focal_loss(logits[..., :1], targets[..., :1] + 1, alpha=0.25), 0.25 * expected[0])


def test_dice_by_hand():
    """Foreground at probability 3/4 and background at 1/4: 1 - 2·(3/4) / (9/16 + 1/16 + 1); unsquared 1 - 1.5/2."""
    logits = torch.tensor([math.log(3.0), -math.log(3.0)]).view(1, 1, 1, 2)
    targets = torch.tensor([[[1, 0]]])
    torch.testing.assert_close(dice_loss(logits, targets), torch.tensor(1 - 1.5 / 1.625))
    torch.testing.assert_close(dice_loss(logits, targets, squared=False), torch.tensor(1 - 1.5 / 2))


@pytest.mark.parametrize("channels", [1, 3])
def test_gamma_zero_is_cross_entropy(channels):
    logits, targets = random_masks(channels)
    expected = (
        F.binary_cross_entropy_with_logits(logits[:, 0], targets.double())
        if channels == 1
        else F.cross_entropy(logits, targets)
    )
    torch.testing.assert_close(focal_loss(logits, targets, gamma=0.0), expected)


def test_one_logit_is_two_classes():
    """The focal terms agree; Dice scores the foreground alone, so it is one of the two classes' means."""
    logits, targets = random_masks(1)
    torch.testing.assert_close(focal_loss(as_two_channels(logits), targets), focal_loss(logits, targets))
    both = dice_loss(logits, targets) + dice_loss(-logits, 1 - targets)
    torch.testing.assert_close(dice_loss(as_two_channels(logits), targets), both / 2)


def test_several_classes_against_a_slow_reference():
    logits, targets = random_masks(4)
    p = logits.softmax(dim=1)
    focal, dice = 0.0, 0.0
    for n, i, j in torch.cartesian_prod(torch.arange(3), torch.arange(4), torch.arange(5)).tolist():
        right = p[n, targets[n, i, j], i, j]
        focal += float(-((1 - right) ** 2) * right.log()) / 60
    for c in range(4):
        truth = (targets == c).double()
        dice += float(1 - 2 * (p[:, c] * truth).sum() / ((p[:, c] ** 2).sum() + truth.sum())) / 4
    assert float(focal_loss(logits, targets)) == pytest.approx(focal)
    assert float(dice_loss(logits, targets)) == pytest.approx(dice)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("options", [{}, {"focal_gamma": 0.5}, {"focal_alpha": 0.25, "dice_squared": False}])
def test_gradient_agrees_with_finite_differences(channels, options):
    logits, targets = random_masks(channels)
    loss = MaskLoss(**options)
    assert torch.autograd.gradcheck(lambda z: loss(z, targets), logits.requires_grad_())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_finite_at_extreme_logits(channels, gamma):
    generator = torch.Generator().manual_seed(0)
    logits = 1e4 * torch.randn(2, channels, 4, 4, generator=generator).sign()
    logits.requires_grad_()
    loss = MaskLoss(focal_gamma=gamma)(logits, torch.randint(max(channels, 2), (2, 4, 4), generator=generator))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_finite_on_background_only(channels, scale):
    logits = scale * torch.randn(1, channels, 4, 4, generator=torch.Generator().manual_seed(1))
    logits.requires_grad_()
    loss = MaskLoss()(logits, torch.zeros(1, 4, 4, dtype=torch.int64))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sure_and_right_mask_costs_nothing(channels):
    targets = torch.randint(max(channels, 2), (2, 4, 4), generator=torch.Generator().manual_seed(2))
    logits = (
        100.0 * (2 * targets[:, None] - 1.0)
        if channels == 1
        else 100.0 * F.one_hot(targets, channels).movedim(-1, 1).float()
    )
    assert float(MaskLoss()(logits, targets)) == pytest.approx(0.0, abs=1e-6)
    empty = torch.zeros_like(targets)
    assert float(dice_loss(torch.full((2, 1, 4, 4), -100.0), empty)) == pytest.approx(0.0)


def test_cross_entropy_options_are_torchs():
    generator = torch.Generator().manual_seed(3)
    logits, targets = torch.randn(6, 3, generator=generator), torch.tensor([0, 1, 2, 0, 0, 1])
    weights = balanced_class_weights(targets, 3)
    torch.testing.assert_close(weights, torch.tensor([6 / 9, 1.0, 2.0]))
    loss = ClassificationLoss(label_smoothing=0.1, class_weights=weights)
    torch.testing.assert_close(
        loss(logits, targets), F.cross_entropy(logits, targets, weight=weights, label_smoothing=0.1)
    )
    assert not loss.state_dict()
    assert ClassificationLoss()(torch.tensor([[1e4, -1e4]]), torch.tensor([1])).isfinite()


@pytest.mark.parametrize(
    ("loss", "shape"), [(MaskLoss(), (2, 1, 4, 4)), (MaskLoss(), (2, 3, 4, 4)), (ClassificationLoss(), (4, 3))]
)
def test_float32_under_autocast(loss, shape):
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(shape, generator=generator).bfloat16()
    targets = torch.randint(2, (shape[0], *shape[2:]), generator=generator)
    expected = loss(logits.float(), targets)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = loss(logits, targets)
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, expected)


def test_the_recipe_builds_the_loss():
    labels = torch.tensor([0, 0, 0, 1])
    spec = TaskLossSpec(label_smoothing=0.1, class_weights="balanced")
    loss = build_task_loss(spec, "classification", classes=2, train_labels=labels)
    assert isinstance(loss, ClassificationLoss)
    assert loss.label_smoothing == 0.1
    torch.testing.assert_close(loss.class_weights, torch.tensor([2 / 3, 2.0]))

    masks = build_task_loss(TaskLossSpec(focal_gamma=1.0, focal_reduction="sum", dice_squared=False), "segmentation")
    logits, targets = random_masks(1)
    expected = focal_loss(logits, targets, gamma=1.0, reduction="sum") + dice_loss(logits, targets, squared=False)
    torch.testing.assert_close(masks(logits, targets), expected)


@pytest.mark.parametrize(
    ("options", "task"),
    [({"label_smoothing": 0.1}, "segmentation"), ({"focal_alpha": 0.25}, "classification")],
)
def test_options_of_the_other_task_are_refused(options, task):
    with pytest.raises(UserError, match=f"task_loss.{next(iter(options))} is no option of {task}"):
        build_task_loss(TaskLossSpec(**options), task)
