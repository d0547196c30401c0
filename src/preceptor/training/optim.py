"""Optimisers and the learning rate over time."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from preceptor.recipe import TrainingSpec


def make_optimizer(owned: Mapping[str, Sequence[nn.Parameter]], spec: TrainingSpec) -> torch.optim.Optimizer:
    """One optimiser, one parameter group per network; with disjoint groups that equals one optimiser each."""
    groups = [{"params": list(parameters)} for parameters in owned.values()]
    if spec.optimizer == "sgd":
        return torch.optim.SGD(
            groups,
            lr=spec.lr,
            momentum=spec.momentum,
            nesterov=spec.nesterov,
            weight_decay=spec.weight_decay,
            fused=True,
        )
    kind = torch.optim.AdamW if spec.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=spec.lr, weight_decay=spec.weight_decay, fused=True)


def learning_rate(spec: TrainingSpec, epoch: float, epochs: int) -> float:
    """The rate at ``epoch`` (0 at the start, fractions within an epoch) of ``epochs``.

    ``step`` changes only between epochs; the others change with every step.
    """
    if epoch < spec.warmup_epochs:
        return spec.lr * epoch / spec.warmup_epochs
    share = min((epoch - spec.warmup_epochs) / max(epochs - spec.warmup_epochs, 1e-9), 1.0)
    match spec.schedule:
        case "constant":
            return spec.lr
        case "step":
            return float(spec.lr * spec.decay ** (math.floor(epoch) // spec.step_epochs))
        case "cosine":
            return spec.lr * (1.0 + math.cos(math.pi * share)) / 2.0
        case "polynomial":
            return float(spec.lr * (1.0 - share) ** spec.power)
