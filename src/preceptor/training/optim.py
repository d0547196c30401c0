"""Optimisers and the learning rate over time."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from preceptor.cohort.cohort import Cohort
from preceptor.cohort.frozen import lies_channels_last
from preceptor.plan.stage import Member
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


def make_optimizer(groups: Sequence[Group], spec: TrainingSpec, *, is_recorded: bool = False) -> torch.optim.Optimizer:
    """One optimiser over disjoint groups, which equals one optimiser each; :func:`set_rate` gives them their rates.

    A step may take the gradients off the parameters (see :func:`_lies_dense`).

    Args:
        is_recorded: its steps are recorded and replayed, so that learning rates live on the device.
    """
    twins = {p: _dense(p) for group in groups for p in group.parameters if _lies_dense(p, spec)}
    named = [
        {
            "params": [nn.Parameter(twins[p].detach()) if p in twins else p for p in group.parameters],
            "factor": group.lr,
            "weight_decay": group.weight_decay * spec.weight_decay,
        }
        for group in groups
    ]
    optimizer: torch.optim.Optimizer
    if spec.optimizer == "sgd":
        optimizer = torch.optim.SGD(named, lr=spec.lr, momentum=spec.momentum, nesterov=spec.nesterov, fused=True)
    else:
        kind = torch.optim.AdamW if spec.optimizer == "adamw" else torch.optim.Adam
        optimizer = kind(named, lr=spec.lr, fused=True, capturable=is_recorded)
    if is_recorded:
        _keep_rates_on_device(optimizer)
    if twins:
        every = [p for group in groups for p in group.parameters]
        _stand_for(optimizer, [p if p in twins else None for p in every])
    return optimizer


def _lies_dense(parameter: nn.Parameter, spec: TrainingSpec) -> bool:
    """Whether the optimiser is shown a view of the weights in the order in which they lie in memory.

    torch's fused optimisers on CPUs copy whatever is not contiguous, weights, gradients and averages, before and
    after every step: with weights that lie channels last they take twice the time. A gradient scaler must see the
    parameters themselves.
    """
    return parameter.device.type == "cpu" and spec.precision != "16-mixed" and lies_channels_last(parameter)


def _dense(tensor: Tensor) -> Tensor:
    return tensor.permute(0, 2, 3, 1)


def _stand_for(optimizer: torch.optim.Optimizer, originals: Sequence[nn.Parameter | None]) -> None:
    """Let each dense view take its parameter's gradient before a step; states are saved in the parameters' own shapes.

    Args:
        originals: by the optimiser's number of a parameter, the one that a view stands for.
    """
    views = [p for group in optimizer.param_groups for p in group["params"]]

    def take_gradients(*_: object) -> None:
        for view, original in zip(views, originals, strict=True):
            if original is not None:
                view.grad, original.grad = None if original.grad is None else _dense(original.grad), None

    def turned(state: dict[str, Any], turn: Callable[[Tensor], Tensor]) -> dict[str, Any]:
        def one(number: int, values: dict[str, Any]) -> dict[str, Any]:
            stands = originals[number] is not None
            return {
                key: turn(v) if stands and isinstance(v, Tensor) and v.dim() == 4 else v for key, v in values.items()
            }

        return {**state, "state": {number: one(number, values) for number, values in state["state"].items()}}

    optimizer.register_step_pre_hook(take_gradients)
    optimizer.register_state_dict_post_hook(
        lambda _, state: turned(state, lambda t: t.permute(0, 3, 1, 2).contiguous())
    )
    optimizer.register_load_state_dict_pre_hook(lambda _, state: turned(state, lambda t: _dense(t).contiguous()))


def _keep_rates_on_device(optimizer: torch.optim.Optimizer) -> None:
    """Make learning rates tensors; what is saved and loaded is as of any other optimiser."""

    def move(_: object = None) -> None:
        for group in optimizer.param_groups:
            group["lr"] = torch.tensor(group["lr"], dtype=torch.float32, device=group["params"][0].device)

    def with_groups(state: dict[str, Any], *, is_saved: bool) -> dict[str, Any]:
        groups = [dict(group) for group in state["param_groups"]]
        for group in groups:
            group["lr"] = float(group["lr"])
            if "capturable" in group:
                group["capturable"] = not is_saved
        return {**state, "param_groups": groups}

    move()
    optimizer.register_state_dict_post_hook(lambda _, state: with_groups(state, is_saved=True))
    optimizer.register_load_state_dict_pre_hook(lambda _, state: with_groups(state, is_saved=False))
    optimizer.register_load_state_dict_post_hook(move)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of ``rate``."""
    for group in optimizer.param_groups:
        own = rate * group["factor"]
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(own)
        else:
            group["lr"] = own


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
