"""A transfer: one directed, weighted edge of a cohort."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

from preceptor.knowledge.base import Loss
from preceptor.networks.outputs import Tap
from preceptor.specs import Task


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """``source`` teaches ``target``.

    Distillation is one edge, mutual learning two facing edges, several teachers several edges into one
    student. The edge owns the routing; a loss only ever sees tensors.

    Args:
        loss: a module of its own for this edge, since it may hold adapters.
        student_tap, teacher_tap: what is compared; the loss's published setting where not given.
        stop_gradient: the source learns nothing from this edge.
    """

    source: str
    target: str
    loss: Loss
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
