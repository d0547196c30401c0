"""The task's loss where some images have no label: what counts, and that the others count in no way."""

import pytest
import torch
from torch.nn import functional as F

from preceptor.knowledge.task_loss import ClassificationLoss, build_task_loss
from preceptor.specs import TaskLossSpec

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
