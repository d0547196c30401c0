from typing import get_args

import pytest
import torch

from preceptor.errors import UserError
from preceptor.knowledge.logits.integration import (
    accuracy_weights,
    correct_weights,
    entropy_weights,
    integrated_logits,
    teacher_weights,
)
from preceptor.knowledge.logits.soft_target import soft_target_kl
from preceptor.specs import Integration

from ..references import weighted_kl

LABELS = torch.arange(6) % 4


def weights_by(scheme: Integration, logits: torch.Tensor) -> torch.Tensor:
    accuracies = torch.tensor([0.9, 0.8, 0.7])[: len(logits)]
    return teacher_weights(scheme, logits, temperature=4.0, targets=LABELS, accuracies=accuracies)


@pytest.mark.parametrize("scheme", get_args(Integration))
def test_weights_sum_to_one_and_one_teacher_is_plain_kd(scheme: Integration) -> None:
    teachers, student = torch.randn(3, 6, 4), torch.randn(6, 4)
    torch.testing.assert_close(weights_by(scheme, teachers).sum(dim=0), torch.ones(6))

    alone = weights_by(scheme, teachers[:1])
    target = integrated_logits(teachers[:1], alone, temperature=4.0)
    expected = soft_target_kl(student, teachers[0], temperature=4.0)
    torch.testing.assert_close(soft_target_kl(student, target, temperature=4.0), expected)


@pytest.mark.parametrize("scheme", get_args(Integration))
def test_averaging_losses_and_averaging_targets_pull_alike(scheme: Integration) -> None:
    teachers, student = torch.randn(3, 6, 4), torch.randn(6, 4, requires_grad=True)
    weights = weights_by(scheme, teachers)
    target = integrated_logits(teachers, weights, temperature=4.0)
    one = torch.autograd.grad(soft_target_kl(student, target, temperature=4.0), student)[0]
    other = torch.autograd.grad(weighted_kl(student, teachers, weights, temperature=4.0), student)[0]
    torch.testing.assert_close(one, other)


def test_accuracies_by_hand() -> None:
    """0.02 more accuracy counts e times as much."""
    weights = accuracy_weights(torch.tensor([0.90, 0.88]))
    torch.testing.assert_close(weights[0] / weights[1], torch.tensor(1.0).exp(), rtol=1e-4, atol=0.0)


def test_a_sure_teacher_counts_more_by_entropy() -> None:
    logits = torch.stack([torch.tensor([[50.0, 0.0]]), torch.zeros(1, 2)])
    torch.testing.assert_close(entropy_weights(logits), torch.tensor([[1.0], [0.0]]))
    torch.testing.assert_close(
        entropy_weights(50 * torch.ones(2, 1, 2) * torch.tensor([1.0, -1.0])), torch.full((2, 1), 0.5)
    )


def test_only_correct_teachers_count_unless_none_is() -> None:
    logits = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]])
    assert correct_weights(logits, torch.tensor([0, 0])).tolist() == [[1.0, 0.5], [0.0, 0.5]]


def test_missing_labels_and_accuracies_are_named() -> None:
    logits = torch.randn(2, 3, 4)
    with pytest.raises(UserError, match="integration ce needs labels; use `entropy`"):
        teacher_weights("ce", logits, temperature=1.0)
    with pytest.raises(UserError, match="integration val_acc needs each teacher's validation accuracy"):
        teacher_weights("val_acc", logits, temperature=1.0)
