"""Several teachers, one soft target: how much each teacher counts."""

import torch
import torch.nn.functional as F
from torch import Tensor

from preceptor.errors import UserError
from preceptor.specs import Integration


def average_weights(logits: Tensor) -> Tensor:
    """1 / K for each of K teachers: (K, N, C) logits to (K, N) weights.

    Source: You et al. 2017, "Learning from multiple teacher networks".
    """
    return torch.full(logits.shape[:2], 1.0 / len(logits), dtype=logits.dtype, device=logits.device)


def accuracy_weights(accuracies: Tensor, *, temperature: float = 0.02) -> Tensor:
    """exp(accuracy / temperature), normalised: (K,) validation accuracies in 0 to 1 to (K,) weights."""
    return (accuracies / temperature).softmax(dim=0)


def power_weights(accuracies: Tensor, *, power: float) -> Tensor:
    """accuracy ** power, normalised: (K,) validation accuracies in 0 to 1 to (K,) weights; equal where all are 0."""
    raised = accuracies**power
    return torch.where(raised.sum() > 0, raised / raised.sum(), 1.0 / len(raised))


def confidence_weights(logits: Tensor, *, temperature: float) -> Tensor:
    """In proportion to each teacher's largest softened probability: (K, N, C) to (K, N), sum 1 over K."""
    confidence = (logits / temperature).softmax(dim=2).amax(dim=2)
    return confidence / confidence.sum(dim=0)


def entropy_weights(logits: Tensor) -> Tensor:
    """Falling with each teacher's entropy at temperature 1: (1 - H_k / sum H) / (K - 1), (K, N, C) to (K, N), sum 1.

    Source: the EBKD branch of the code of Zhang et al. 2022, arXiv:2201.00007.
    """
    log_probabilities = F.log_softmax(logits, dim=2)
    return _falling(-(log_probabilities.exp() * log_probabilities).sum(dim=2))


def cross_entropy_weights(logits: Tensor, targets: Tensor) -> Tensor:
    """Falling with each teacher's cross entropy: (1 - softmax_k CE_k) / (K - 1), (K, N, C) and (N,) to (K, N), sum 1.

    Source: Zhang et al. 2022, arXiv:2201.00007
    """
    if len(logits) == 1:
        return average_weights(logits)
    wrong = torch.stack([F.cross_entropy(one, targets, reduction="none") for one in logits])
    return (1.0 - wrong.softmax(dim=0)) / (len(logits) - 1)


def correct_weights(logits: Tensor, targets: Tensor) -> Tensor:
    """Equal for teachers whose first choice is right; for all where none is: (K, N, C) and (N,) to (K, N), sum 1."""
    right = (logits.argmax(dim=2) == targets).to(logits.dtype)
    right = torch.where(right.sum(dim=0) > 0, right, 1.0)
    return right / right.sum(dim=0)


def teacher_weights(
    scheme: Integration,
    logits: Tensor,
    *,
    temperature: float,
    targets: Tensor | None = None,
    accuracies: Tensor | None = None,
    power: float | None = None,
) -> Tensor:
    """Weights of K teachers by one of the schemes, (K, N, C) logits to (K, N), sum 1 over K.

    With one teacher all schemes give 1. Nothing is detached. With ``power``, ``val_acc`` is :func:`power_weights`.

    Raises:
        UserError: the scheme needs labels or validation accuracies that are not there.
    """
    match scheme:
        case "average":
            return average_weights(logits)
        case "confidence":
            return confidence_weights(logits, temperature=temperature)
        case "entropy":
            return entropy_weights(logits)
        case "val_acc":
            if accuracies is None:
                raise UserError("integration val_acc needs each teacher's validation accuracy; use `entropy` without")
            weights = accuracy_weights(accuracies) if power is None else power_weights(accuracies, power=power)
            return weights.to(logits)[:, None].expand(logits.shape[:2])
        case "ce" | "correct_only":
            if targets is None:
                raise UserError(f"integration {scheme} needs labels; use `entropy`, `confidence` or `val_acc` without")
            return cross_entropy_weights(logits, targets) if scheme == "ce" else correct_weights(logits, targets)


def integrated_logits(logits: Tensor, weights: Tensor, *, temperature: float) -> Tensor:
    """T log of the mixture of the teachers' softened distributions, finite where a class has no probability left.

    Shapes:
        logits: (K, N, C); weights: (K, N), 0 where a teacher does not count
        returns: (N, C)
    """
    log_probabilities = F.log_softmax(logits / temperature, dim=2)
    return temperature * (log_probabilities + weights.log()[:, :, None]).logsumexp(dim=0)


def _falling(values: Tensor) -> Tensor:
    """(1 - share of the sum) / (K - 1) along the first dimension; equal where all are 0."""
    count = len(values)
    if count == 1:
        return torch.ones_like(values)
    total = values.sum(dim=0)
    shares = torch.where(total > 0, values / total.masked_fill(total == 0, 1.0), 1.0 / count)
    return (1.0 - shares) / (count - 1)
