"""Several runs as one bigger graph.

A network of a cohort gets only its own gradient. So runs with one seed, one data order and one teacher can be trained
as one cohort that has that teacher in it once, and every network ends exactly as in its lone run. In a merged stage the
members of the runs are told apart by a number, ``S1#0`` and ``S1#1``; random numbers belong to the name without it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from preceptor.errors import UserError
from preceptor.plan.network import Composed
from preceptor.plan.stage import Member, Plan, Stage

_NUMBER = re.compile(r"#\d+")


def unshared(name: str) -> str:
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
    """The stage that trains what every plan trains, with networks that nobody else acts on there once where they are
    equal: equal as values, what they read included.

    Raises:
        UserError: a plan has several stages, updates its networks in turn, or trains them otherwise than the rest.
    """
    stages = [_only_stage(plan) for plan in plans]
    if any(frame_of(stage) != frame_of(stages[0]) for stage in stages):
        raise UserError("runs that are trained as one must be trained alike: the same `training`, the same stages")
    members: dict[str, Member] = {}
    shared: dict[tuple[str, Member], str] = {}
    names: list[dict[str, str]] = []
    for number, stage in enumerate(stages):
        acted_on = _acted_on(stage)
        named: dict[str, str] = {}
        for name, member in stage.members.items():
            own = f"{name}#{number}"
            there = _reading(member, named)
            named[name] = own if name in acted_on else shared.setdefault((name, there), own)
            members.setdefault(named[name], there)
        for name, member in stage.members.items():
            if member.kept_with:
                members[named[name]] = replace(members[named[name]], kept_with=named[member.kept_with])
        names.append(named)
    edges = [
        replace(edge, source=named[edge.source], target=named[edge.target])
        for named, stage in zip(names, stages, strict=True)
        for edge in stage.edges
    ]
    return Merged(replace(stages[0], members=members, edges=tuple(edges)), tuple(names))


def frame_of(stage: Stage) -> Stage:
    """The stage without its networks and edges: how long and how it trains, and what it is called."""
    return replace(stage, members={}, edges=(), choices={}, instead="")


def _acted_on(stage: Stage) -> set[str]:
    """Networks that learn from others of their run: by an edge, through a network that reads them and trains, or in
    that another's score chooses their weights."""
    trained = {name: member for name, member in stage.members.items() if member.trains}
    reading = {name for member in trained.values() for name in member.builds_on}
    chosen = {name for name, member in trained.items() if member.kept_with}
    return ({edge.target for edge in stage.edges} | reading | chosen) & trained.keys()


def _reading(member: Member, names: Mapping[str, str]) -> Member:
    """The member as it stands among others whose names are those of ``names``."""
    network = member.network
    if not isinstance(network, Composed):
        return member
    return replace(member, network=replace(network, reads=tuple(names[one] for one in network.reads)))


def why_unshared(plan: Plan) -> str | None:
    """Why a run cannot be trained as one with others, if so."""
    stage = plan.stages[0]
    if len(plan.stages) != 1:
        return (
            f"a run of {len(plan.stages)} stages cannot be trained as one with others; "
            "give it its teacher (technique.teacher), or train it alone"
        )
    if stage.probe:
        return "a probe trains nothing, so there is nothing to train as one with others"
    if stage.turns:
        return "networks that are updated in turn (technique.sequential) cannot be trained with other runs"
    if stage.choices:
        return "networks that are chosen when training begins cannot be trained with other runs; train it alone"
    if not all(edge.stop_gradient for edge in stage.edges):
        return "an edge through which its source learns (stop_gradient: false) keeps its run from being shared"
    return None


def _only_stage(plan: Plan) -> Stage:
    if reason := why_unshared(plan):
        raise UserError(reason)
    return plan.stages[0]
