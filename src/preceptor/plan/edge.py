"""An edge: who teaches whom, with which loss, by how much. The loss is a value here, a module in a cohort."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Generic, Literal, Protocol, TypeVar

from preceptor.knowledge.catalogue import Entry, entry_for
from preceptor.knowledge.setting import Setting, Tap
from preceptor.plan.frozen import FrozenMap
from preceptor.specs import Task


class Described(Protocol):
    """What an edge asks of its loss, be it a value or a module."""

    @property
    def key(self) -> str:
        """How the loss is called in the names of terms."""
        ...

    @property
    def settings(self) -> Mapping[Task, Setting]:
        """Task -> published setting; its keys are the tasks that the loss serves."""
        ...


@dataclass(frozen=True, slots=True, init=False)
class LossUse:
    """A knowledge loss with its options: ``LossUse("kd", temperature=4.0)``.

    Args:
        name: as in recipes: a key of the catalogue, or ``file.py:ClassName``.
    """

    name: str
    options: FrozenMap[Any]

    def __init__(self, name: str, /, **options: Any) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "options", FrozenMap(options))

    @property
    def entry(self) -> Entry:
        """What the catalogue knows of it, without importing it."""
        return entry_for(self.name)

    @property
    def key(self) -> str:
        """How it is called in the names of terms."""
        return self.entry.term

    @property
    def settings(self) -> Mapping[Task, Setting]:
        """Task -> published setting."""
        return self.entry.settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """How an edge's weight grows over its first ``epochs`` epochs.

    ``linear`` is epoch / epochs, as in the code of Zhao et al. 2022; ``sigmoid`` is exp(-5 (1 - epoch / epochs)²)
    (Laine & Aila 2017). Epochs count from 1; the weight stays full afterwards.
    """

    epochs: float
    shape: Literal["linear", "sigmoid"] = "linear"

    def factor(self, epoch: int) -> float:
        """Share of the weight that acts in ``epoch`` (the first is 1)."""
        share = min(epoch / self.epochs, 1.0)
        return share if self.shape == "linear" else math.exp(-5.0 * (1.0 - share) ** 2)


L = TypeVar("L", bound=Described)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge(Generic[L]):
    """``source`` teaches ``target``.

    Distillation is one edge, mutual learning two facing edges, several teachers several edges into one
    student. The edge owns the routing; a loss only ever sees tensors.

    Args:
        student_tap, teacher_tap: what is compared; the loss's published setting where not given.
        stop_gradient: the source learns nothing from this edge.
    """

    source: str
    target: str
    loss: L
    weight: float = 1.0
    student_tap: Tap | None = None
    teacher_tap: Tap | None = None
    ramp: Ramp | None = None
    stop_gradient: bool = True

    def taps(self, task: Task) -> tuple[Tap, Tap]:
        """(student's tap, teacher's tap) in ``task``."""
        setting = self.loss.settings[task]
        student = self.student_tap or setting.student_tap
        return student, self.teacher_tap or (None if self.student_tap else setting.teacher_tap) or student

    @property
    def name(self) -> str:
        """Unique within a cohort; the name of the edge's term in ``metrics.csv``."""
        tap = self.student_tap or ""
        where = f"@{tap if isinstance(tap, str) else '+'.join(tap)}" if tap else ""
        return f"{self.source}->{self.target}/{self.loss.key}{where}"

    def weight_in(self, epoch: int) -> float:
        """The weight in ``epoch`` (the first is 1)."""
        return self.weight * (self.ramp.factor(epoch) if self.ramp else 1.0)


def facing(peers: Sequence[str]) -> list[tuple[str, str, float]]:
    """Every ordered pair of peers with its share 1 / (K - 1): deep mutual learning (Zhang et al. 2018)."""
    return [(source, target, 1.0 / (len(peers) - 1)) for source, target in permutations(peers, 2)]
