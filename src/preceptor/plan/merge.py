"""Several runs as one bigger graph.

A network of a cohort gets only its own gradient. So runs with one seed, one data order and one teacher can be trained
as one cohort that has that teacher in it once, and every network ends exactly as in its lone run. In a merged stage the
members of the runs are told apart by a number, ``S1#0`` and ``S1#1``; random numbers belong to the name without it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from preceptor.errors import UserError
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
    """The stage that trains what every plan trains, with networks that learn alike from nobody else there once.

    Raises:
        UserError: a plan has several stages, updates its networks in turn, or trains them otherwise than the rest.
    """
    stages = [_only_stage(plan) for plan in plans]
    if any(stage.training != stages[0].training or stage.clock != stages[0].clock for stage in stages):
        raise UserError("runs that are trained as one must be trained alike: the same `training`, the same stages")
    members: dict[str, Member] = {}
    shared: dict[tuple[str, Member], str] = {}
    names: list[dict[str, str]] = []
    for number, stage in enumerate(stages):
        taught = {edge.target for edge in stage.edges}
        named: dict[str, str] = {}
        for name, member in stage.members.items():
            own = f"{name}#{number}"
            named[name] = own if name in taught else shared.setdefault((name, member), own)
            members[named[name]] = member
        names.append(named)
    edges = [
        replace(edge, source=named[edge.source], target=named[edge.target])
        for named, stage in zip(names, stages, strict=True)
        for edge in stage.edges
    ]
    return Merged(replace(stages[0], members=members, edges=tuple(edges)), tuple(names))


def why_unshared(plan: Plan) -> str | None:
    """Why a run cannot be trained as one with others, if so."""
    stage = plan.stages[0]
    readers = [name for name, member in stage.members.items() if member.builds_on]
    if len(plan.stages) != 1:
        return (
            f"a run of {len(plan.stages)} stages cannot be trained as one with others; "
            "give it its teacher (technique.teacher), or train it alone"
        )
    if stage.turns:
        return "networks that are updated in turn (technique.sequential) cannot be trained with other runs"
    if readers:
        return f"a run with networks that read others ({', '.join(readers)}) cannot be shared; train it alone"
    if not all(edge.stop_gradient for edge in stage.edges):
        return "an edge through which its source learns (stop_gradient: false) keeps its run from being shared"
    return None


def _only_stage(plan: Plan) -> Stage:
    if reason := why_unshared(plan):
        raise UserError(reason)
    return plan.stages[0]
