"""Several runs as one bigger graph.

A network of a cohort gets only its own gradient. So runs with one seed, one data order and one teacher can be trained
as one cohort that has that teacher in it once, and every network ends exactly as in its lone run. In a merged stage the
members of the runs are told apart by a number, ``S1#0`` and ``S1#1``; random numbers belong to the name without it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from preceptor.cohort.stage import Member, Plan, Stage
from preceptor.cohort.transfer import Transfer
from preceptor.errors import UserError
from preceptor.networks.network import Network

_NUMBER = re.compile(r"#\d+")


def lone(name: str) -> str:
    """A network's, edge's or metric's name as it is in the lone run."""
    return _NUMBER.sub("", name)


@dataclass(frozen=True, slots=True)
class Merged:
    """One stage for several runs.

    Args:
        names: for each run, its names -> those in the merged stage.
    """

    stage: Stage
    names: tuple[dict[str, str], ...]


def merge(plans: Sequence[Plan]) -> Merged:
    """The stage that trains what every plan trains, with networks that learn alike from nobody else there once.

    Raises:
        UserError: a plan has several stages, updates its networks in turn, or trains them otherwise than the rest.
    """
    stages = [_only_stage(plan) for plan in plans]
    if any(stage.training != stages[0].training or stage.clock != stages[0].clock for stage in stages):
        raise UserError("runs that are trained as one must be trained alike: the same `training`, the same stages")
    members: dict[str, Member] = {}
    shared: dict[tuple[object, ...], str] = {}
    names: list[dict[str, str]] = []
    for number, stage in enumerate(stages):
        taught = {edge.target for edge in stage.transfers()}
        named: dict[str, str] = {}
        for name, member in stage.members.items():
            like = None if name in taught else _identity(name, member)
            known = shared.get(like) if like else None
            named[name] = known or f"{name}#{number}"
            if known is None:
                builds_on = tuple(named[source] for source in member.builds_on)
                members[named[name]] = replace(member, builds_on=builds_on)
            if like and known is None:
                shared[like] = named[name]
        names.append(named)

    def edges() -> list[Transfer]:
        return [
            replace(edge, source=named[edge.source], target=named[edge.target])
            for named, stage in zip(names, stages, strict=True)
            for edge in stage.transfers()
        ]

    return Merged(replace(stages[0], members=members, transfers=edges), tuple(names))


def _only_stage(plan: Plan) -> Stage:
    if len(plan.stages) != 1:
        raise UserError(
            f"a run of {len(plan.stages)} stages cannot be trained as one with others; "
            "give it its teacher (technique.teacher), or train it alone"
        )
    stage = plan.stages[0]
    if stage.turns:
        raise UserError("networks that are updated in turn (technique.sequential) cannot be trained with other runs")
    built = [name for name, member in stage.members.items() if member.builds_on]
    if built:
        raise UserError(f"a run with networks that read others ({', '.join(built)}) cannot be shared; train it alone")
    if any(edge.stop_gradient is False for edge in stage.transfers()):
        raise UserError(
            "an edge through which its source learns (stop_gradient: false) keeps its run from being shared"
        )
    return stage


def _identity(name: str, member: Member) -> tuple[object, ...] | None:
    """What makes two members equal, for those that are built from a specification alone."""
    made = _made_of(member.build)
    if made is None or member.builds_on:
        return None
    lr = member.lr if isinstance(member.lr, float | int) else tuple(member.lr.items())
    return (name, made, member.trains, member.task_weight, member.starts, lr, member.weight_decay)


def _made_of(build: Callable[..., Network]) -> str | None:
    if not isinstance(build, partial):
        return None
    return repr((build.func.__qualname__, build.args, sorted(build.keywords.items())))
