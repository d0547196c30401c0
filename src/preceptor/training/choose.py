"""Which member of a stage it is, where that is decided when the stage begins."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from preceptor.data.batches import Batches
from preceptor.knowledge.logits.soft_target import soft_target_kl
from preceptor.networks.network import Network
from preceptor.plan.stage import Member, Stage
from preceptor.training.checkpoints import Checkpoints


def make_choices(
    stage: Stage,
    checkpoints: Checkpoints,
    fabric: Fabric,
    batches: Batches,
    build: Callable[[str, Member, bool], Network],
) -> dict[str, dict[str, Any]]:
    """What each choice of ``stage`` came to: ``chosen``, and the ``distances`` on which that rests.

    A choice that the run folder holds stands; others are made and written there.

    Args:
        batches: this process's share of the validation part.
        build: (name, member, whether with the weights of earlier stages) -> network.
    """
    made = checkpoints.choices(stage.name)
    if made is not None:
        return made
    assert stage.continues is not None, "a choice rests on the learners as another stage left them"
    before = checkpoints.choices(stage.continues) or {}
    left: dict[str, Tensor] = checkpoints.load(checkpoints.last(stage.continues))["cohort"]
    learners = {}
    for name in stage.learners:
        learners[name] = build(name, stage.members[name], False)
        prefix = f"learners.{name}."
        state = {key.removeprefix(prefix): value for key, value in left.items() if key.startswith(prefix)}
        learners[name].load_state_dict(state)
    made = {}
    for name, choice in stage.choices.items():
        names = list(choice.candidates)
        first = names.index(before[name]["chosen"]) if name in before else 0
        makers = {one: partial(build, name, choice.candidates[one], True) for one in names[first:]}
        distances = distances_from(fabric, makers, learners, batches, temperature=choice.temperature)
        made[name] = {"chosen": choice.rule.decide(distances), "distances": distances}
    checkpoints.write_choices(stage.name, made)
    return made


@torch.no_grad()
def distances_from(
    fabric: Fabric,
    candidates: Mapping[str, Callable[[], Network]],
    learners: Mapping[str, Network],
    batches: Batches,
    *,
    temperature: float,
) -> dict[str, float]:
    """KL(candidate || learner) by candidate, averaged over samples (for masks over pixels too) and learners.

    One candidate is in memory at a time. Distances have the factor T² of :func:`soft_target_kl`.
    """
    for learner in learners.values():
        learner.to(fabric.device).eval()
    found = {}
    for name, make in candidates.items():
        candidate = make().to(fabric.device).eval()
        total = torch.zeros(2, dtype=torch.float64, device=fabric.device)  # of the distance, of samples
        for batch in batches.epoch(0):
            logits = candidate(batch.images).logits.float()
            for learner in learners.values():
                kl = soft_target_kl(learner(batch.images).logits.float(), logits, temperature=temperature)
                total += torch.tensor([kl.item(), 1.0], dtype=torch.float64, device=fabric.device) * len(batch.rows)
        summed = fabric.all_reduce(total, reduce_op="sum")
        assert isinstance(summed, Tensor)
        found[name] = (summed[0] / summed[1]).item()
        del candidate
    return found
