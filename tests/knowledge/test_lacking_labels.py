"""The task's loss where some images have no label: what counts, and that the others count in no way."""

import pytest
import torch
from torch.nn import functional as F

from preceptor.knowledge.task_loss import ClassificationLoss, build_task_loss
from preceptor.specs import IGNORED, TaskLossSpec

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.3, 0.1, -0.7], [-1.0, 0.4, 1.2], [0.0, 0.9, -0.2]])
TARGETS = torch.tensor([0, -1, 2, -1])
WEIGHTS = torch.tensor([0.5, 1.0, 2.0])


def gradient(loss, targets):
    logits = LOGITS.clone().requires_grad_()
    value = loss(logits, targets)
    value.backward()
    return value.item(), logits.grad


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_is_the_mean_over_the_labelled_images(weights, smoothing):
    options = {"label_smoothing": smoothing, "class_weights": weights}
    value, found = gradient(ClassificationLoss(**options, lacks_labels=True), TARGETS)
    some = LOGITS[[0, 2]].clone().requires_grad_()
    expected = F.cross_entropy(some, torch.tensor([0, 2]), weight=weights, label_smoothing=smoothing)
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(found[[0, 2]], some.grad)
    assert (found[[1, 3]] == 0).all()


def test_by_hand():
    """Half a batch labelled: (softmax - one hot) / 2 for the labelled, since two are."""
    _, found = gradient(ClassificationLoss(lacks_labels=True), TARGETS)
    expected = torch.zeros_like(LOGITS)
    for row, label in ((0, 0), (2, 2)):
        expected[row] = (LOGITS[row].exp() / LOGITS[row].exp().sum() - F.one_hot(torch.tensor(label), 3)) / 2
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_without_any_label_it_is_exactly_nothing(weights):
    loss = ClassificationLoss(class_weights=weights, label_smoothing=0.1, lacks_labels=True)
    value, found = gradient(loss, torch.full((4,), -1))
    assert value == 0.0
    assert (found == 0.0).all()


def test_with_all_labels_it_is_what_it_was():
    targets = torch.tensor([0, 1, 2, 1])
    assert gradient(ClassificationLoss(lacks_labels=True), targets)[0] == pytest.approx(
        gradient(ClassificationLoss(), targets)[0], rel=1e-6
    )


def test_balanced_weights_are_of_the_labelled_images():
    labels = torch.tensor([0, 0, 0, 1, -1, -1, -1])
    loss = build_task_loss(
        TaskLossSpec(class_weights="balanced"), "classification", train_labels=labels, lacks_labels=True
    )
    assert loss.class_weights.tolist() == pytest.approx([4 / 6, 2.0])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("ignores", [False, True])
@pytest.mark.parametrize("options", [{}, {"focal_alpha": 0.3, "focal_reduction": "sum", "dice_squared": False}])
def test_of_masks_it_is_the_loss_of_the_images_with_one(channels, ignores, options):
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(4, channels, 5, 6, generator=draw)
    targets = torch.randint(0, max(2, channels), (4, 5, 6), generator=draw)
    if ignores:
        targets[:, 0] = IGNORED
    spec = TaskLossSpec(**options)
    plain = build_task_loss(spec, "segmentation", ignores=ignores)
    lacking = build_task_loss(spec, "segmentation", ignores=ignores, lacks_labels=True)
    some = targets.clone()
    some[[1, 3]] = -1
    values, found = [], []
    for loss, z, y in ((plain, logits[[0, 2]], targets[[0, 2]]), (lacking, logits, some)):
        leaf = z.clone().requires_grad_()
        values.append(loss(leaf, y))
        values[-1].backward()
        found.append(leaf.grad)
    torch.testing.assert_close(values[1], values[0])
    torch.testing.assert_close(found[1][[0, 2]], found[0])
    assert (found[1][[1, 3]] == 0).all()
    torch.testing.assert_close(lacking(logits, targets), plain(logits, targets))


@pytest.mark.parametrize("channels", [1, 3])
def test_without_any_mask_it_is_exactly_nothing(channels):
    loss = build_task_loss(TaskLossSpec(), "segmentation", lacks_labels=True)
    logits = torch.randn(2, channels, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    value = loss(logits, torch.full((2, 4, 4), -1))
    value.backward()
    assert value.item() == 0.0
    assert (logits.grad == 0.0).all()
