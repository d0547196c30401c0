"""What images look like, and whether one is unlike all of training: an answer on it is not to be trusted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from preceptor.data.samples import Pixels
from preceptor.data.stains import unmixing

WIDER = 0.1
"""Share of the width of a range by which it is made wider at either end."""

DISTANCE = "embedding distance"
MICRONS = "microns per pixel"

Looks = dict[str, float]
"""What was measured -> its value."""


def looks_of(
    pieces: Sequence[Pixels], size: tuple[int, ...], *, microns: float | None = None, distance: float | None = None
) -> Looks:
    """What an image looks like.

    Args:
        pieces: (H, W, C) of all that the network sees of it.
        size: (height, width) of the image as it is stored.
        microns: per pixel, where its file says it.
        distance: how far it is from training for the network; the mean over its pieces.
    """
    values = np.stack(pieces)
    unit = values.reshape(-1, values.shape[-1]).astype(np.float64) / np.iinfo(values.dtype).max
    found = {
        "short side": float(min(size)),
        "long side": float(max(size)),
        "brightness": float(unit.mean()),
        "contrast": float(unit.std()),
    }
    if values.shape[-1] == 3:
        amounts = (-np.log(np.maximum(unit, 1 / 255)) @ unmixing()).mean(axis=0)
        found |= {"haematoxylin": float(amounts[0]), "eosin": float(amounts[1])}
    more = {MICRONS: microns, DISTANCE: distance}
    return found | {name: value for name, value in more.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Ranges:
    """From where to where a measurement lies in training.

    Args:
        of: what was measured -> (low, high).
    """

    of: Mapping[str, tuple[float, float]]

    def left(self, looks: Looks) -> tuple[str, ...]:
        """In what an image lies outside; what is not known of it is not judged."""
        return tuple(name for name, (low, high) in self.of.items() if name in looks and not low <= looks[name] <= high)

    @classmethod
    def around(cls, seen: Iterable[Looks], but: frozenset[str] = frozenset()) -> Self:
        """The ranges of images that were seen, leaving out some measurements."""
        every = list(seen)
        found = {}
        for name in dict.fromkeys(name for looks in every for name in looks if name not in but):
            values = [looks[name] for looks in every if name in looks]
            wider = WIDER * (max(values) - min(values))
            found[name] = (min(values) - wider, max(values) + wider)
        return cls(found)

    def extended(self, more: Mapping[str, tuple[float, float]]) -> Self:
        """These and ``more``, each without need to be made wider."""
        return replace(self, of={**self.of, **more})

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """What ``bundle.json`` says."""
        return cls({str(name): (float(low), float(high)) for name, (low, high) in said["ranges"].items()})

    def to_json(self) -> dict[str, Any]:
        """For ``bundle.json``."""
        return {"ranges": {name: list(ends) for name, ends in self.of.items()}, "unmixing": unmixing().tolist()}
