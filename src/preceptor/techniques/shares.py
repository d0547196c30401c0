"""How much each student of a mixture learns from its task, its teacher and its peers, and what it receives."""

from dataclasses import dataclass
from typing import Literal

from preceptor.errors import UserError
from preceptor.specs import Model

Strategy = Literal["predictions", "features", "diverse"]
KnowledgeKind = Literal["predictions", "features"]
Reading = Literal["equations", "table"]
"""By what of the paper ``diverse`` is read: by equations 6, 7, 9 and 10, or by Table 1, which contradicts them."""


class Route(Model):
    """What one student receives, from the teacher and from its peers.

    Args:
        teacher: what it gets from the teacher.
        peers: what it gets from its peers.
    """

    teacher: KnowledgeKind
    peers: KnowledgeKind


_STRATEGIES: dict[Strategy, tuple[Route, ...]] = {
    "predictions": (Route(teacher="predictions", peers="predictions"),),
    "features": (Route(teacher="features", peers="features"),),
    "diverse": (Route(teacher="features", peers="predictions"), Route(teacher="predictions", peers="features")),
}
"""What each student receives; with more students than entries the table repeats (equations 6, 7, 9, 10)."""

_SWAPPED: dict[Strategy, tuple[Route, ...]] = {name: routes[::-1] for name, routes in _STRATEGIES.items()}
"""The same where the teacher alone teaches, or the peers alone do, by Table 1 a and b of the paper.

There the first student gets predictions from the teacher, or features from its peer.
"""


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of one student's loss comes from the task (alpha), the teacher (beta) and the peers (gamma)."""

    alpha: float
    beta: float = 0.0
    gamma: float = 0.0


def routes_for(strategy: Strategy, routing: tuple[Route, ...], count: int, *, swapped: bool = False) -> list[Route]:
    """What each of ``count`` students receives: ``routing`` where given, else the strategy's table.

    Args:
        swapped: take Table 1's reading of one source of knowledge alone, be it the teacher or the peers.
    """
    if routing and len(routing) != count:
        raise UserError(f"technique.routing: {len(routing)} entries for {count} students; give one for each")
    if routing and swapped:
        raise UserError("technique.diverse: routing says what each student receives; leave one of the two out")
    table = routing or (_SWAPPED if swapped else _STRATEGIES)[strategy]
    return [table[number % len(table)] for number in range(count)]


def completed(
    technique: str, alpha: float, beta: float | None, gamma: float | None, *, teacher: bool, peers: bool
) -> Shares:
    """Fill in what a sum of 1 leaves.

    Args:
        teacher, peers: whether they teach in ``technique``.
    """
    if not peers:
        if gamma:
            raise UserError(f"technique.gamma: {technique} has no peers that teach; use kd_ml, or leave it out")
        return Shares(alpha, 1.0 - alpha if beta is None else beta)
    if not teacher:
        if beta:
            raise UserError(f"technique.beta: {technique} has no teacher; use kd_ml, or leave it out")
        return Shares(alpha, gamma=1.0 - alpha if gamma is None else gamma)
    if beta is None:
        beta = (1.0 - alpha) / 2 if gamma is None else max(0.0, 1.0 - alpha - gamma)
    return Shares(alpha, beta, max(0.0, 1.0 - alpha - beta) if gamma is None else gamma)
