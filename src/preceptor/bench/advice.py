"""What to change first in a recipe that is to train faster: settings that were tried, not rules of thumb."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from preceptor.bench.steps import DATA, Timed
from preceptor.recipe import Recipe
from preceptor.specs import TrainingSpec

Risk = Literal["", "rounding", "training"]
WORTH = 1.1
"""A change must save this much to be recommended: the noise of a short measurement shall not."""

VIEWS = 8
"""Versions of each image that are suggested where every epoch has its own."""

STARVED = 0.05
"""Share of a step spent waiting for data above which more threads for it are tried."""


@dataclass(frozen=True, slots=True)
class Change:
    """Another setting of a recipe.

    Args:
        settings: as ``--set`` takes them, by dotted key.
        costs: what else changes: nothing, how sums are rounded, or what is trained.
        why: half a sentence on what it does.
    """

    settings: tuple[tuple[str, Any], ...]
    costs: Risk
    why: str

    @property
    def words(self) -> str:
        """``a.b=value`` of every setting."""
        return " ".join(
            f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in self.settings
        )


@dataclass(frozen=True, slots=True)
class Tried:
    """A change and what came of it: how many times as many images per second."""

    change: Change
    gain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What the epochs of a stage take.

    Args:
        computed: a step in which every network computes.
        read: a step in which what frozen networks say is read, where there are any.
        views: epochs in which images are seen for the first time in their version.
    """

    computed: Timed
    read: Timed | None
    steps: int
    epochs: int
    views: int

    @property
    def mostly_reads(self) -> bool:
        """Whether a teacher cache answers in most epochs."""
        return self.read is not None and 2 * self.views < self.epochs

    def seconds(self, *, keeps: bool, views: int | None = None) -> float:
        """Of all epochs, with or without a teacher cache; ``views`` instead of the recipe's own."""
        read = self.epochs - (self.views if views is None else min(views, self.epochs)) if keeps and self.read else 0
        return self.steps * (
            (self.epochs - read) * self.computed.seconds + (read * self.read.seconds if self.read else 0.0)
        )


def from_the_pace(recipe: Recipe, pace: Pace) -> list[Tried]:
    """What reading instead of computing would save, by arithmetic."""
    if pace.read is None:
        return []
    keeps = recipe.training.teacher_cache.enabled
    now = pace.seconds(keeps=keeps)
    found = []
    if not keeps and pace.views < pace.epochs:
        why = "what the teacher says of images that come again is read"
        change = Change((("training.teacher_cache.enabled", True),), "", why)
        found.append(Tried(change, now / pace.seconds(keeps=True)))
    if keeps and recipe.augment.changes and min(pace.views, pace.epochs) > VIEWS:
        why = f"each image is shown in {VIEWS} versions in turn, of which what the teacher says is read from then on"
        change = Change((("augment.views", VIEWS),), "training", why)
        found.append(Tried(change, now / pace.seconds(keeps=True, views=VIEWS)))
    return found


def to_try(spec: TrainingSpec, pace: Pace, *, threads: int, cores: int) -> list[Change]:
    """Settings that may help and must be measured.

    Args:
        spec: of the stage.
        threads: that compute now.
        cores: that this process may use.
    """
    found = []
    if pace.computed.shares[DATA] > STARVED:
        more = (("training.workers", spec.workers + 1),)
        found.append(Change(more, "", "one more thread prepares batches ahead"))
    if threads < cores:
        found.append(Change((("training.threads", cores),), "rounding", f"all {cores} cores compute"))
    placed: tuple[tuple[str, Any], ...] = ()
    if spec.placement != "measured":
        placed = (("training.channels_last", False),) * spec.channels_last + (("training.placement", "measured"),)
        found.append(Change(placed, "rounding", "each network gets the memory layout in which it is faster"))
    if spec.precision == "32-true":
        half = (*placed, ("training.precision", "bf16-mixed"))
        found.append(Change(half, "rounding", "networks that are faster so compute in half precision"))
    if pace.steps > 2:  # there are images enough
        why = "fewer, larger steps, for which another learning rate may be wanted"
        found.append(Change((("training.batch_size", 2 * spec.batch_size),), "training", why))
    return found


def first_thing(tried: Sequence[Tried]) -> str:
    """One sentence: the change that saves most; one that changes what is trained only where no other is worth it."""
    worth = sorted((one for one in tried if one.gain >= WORTH), key=lambda one: -one.gain)
    best = next((one for one in worth if one.change.costs != "training"), worth[0] if worth else None)
    if best is None:
        return f"nothing that was tried makes it {WORTH} times as fast; a smaller network or image would"
    also = {
        "": "nothing else changes",
        "rounding": "sums are rounded differently",
        "training": "this changes what is trained, so compare the scores",
    }[best.change.costs]
    return f"{best.change.words}: {best.gain:.2f} times as fast; {best.change.why}; {also}"
