"""Optimisers and the learning rate over time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from preceptor.cohort.cohort import Cohort
from preceptor.cohort.stage import Member
from preceptor.specs import TrainingSpec


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters whose learning rate and weight decay are the training's times these factors."""

    parameters: Sequence[nn.Parameter]
    lr: float = 1.0
    weight_decay: float = 1.0


def parameter_groups(cohort: Cohort, members: Mapping[str, Member]) -> list[Group]:
    """The parameters of a cohort, by network and learning rate; adapters of edges into a network learn as it does."""
    found = []
    for name, parameters in cohort.owned().items():
        member = members[name]
        by_prefix = {"": member.lr} if isinstance(member.lr, float | int) else member.lr
        names = {id(p): own for own, p in cohort.learners[name].named_parameters()}
        shares: dict[float, list[nn.Parameter]] = {}
        for parameter in parameters:
            prefixes = [prefix for prefix in by_prefix if names.get(id(parameter), "").startswith(prefix)]
            shares.setdefault(by_prefix[max(prefixes, key=len)], []).append(parameter)
        found += [Group(share, factor, member.weight_decay) for factor, share in shares.items()]
    return found


def make_optimizer(groups: Sequence[Group], spec: TrainingSpec) -> torch.optim.Optimizer:
    """One optimiser over disjoint groups, which equals one optimiser each; :func:`set_rate` gives them their rates."""
    named = [
        {"params": list(group.parameters), "factor": group.lr, "weight_decay": group.weight_decay * spec.weight_decay}
        for group in groups
    ]
    if spec.optimizer == "sgd":
        return torch.optim.SGD(
            named,
            lr=spec.lr,
            momentum=spec.momentum,
            nesterov=spec.nesterov,
            fused=True,
        )
    kind = torch.optim.AdamW if spec.optimizer == "adamw" else torch.optim.Adam
    return kind(named, lr=spec.lr, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


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
