"""Which classes the masks of a data set hold, and what is to be said of that."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from preceptor.data.samples import Pixels
from preceptor.specs import IGNORED


def pixels_by_value(mask: Pixels) -> dict[int, int]:
    """Value -> number of pixels, of a (H, W) uint8 mask."""
    counts = np.bincount(mask.ravel(), minlength=1)
    return {value: int(counts[value]) for value in np.flatnonzero(counts).tolist()}


@dataclass
class Presence:
    """How many masks, and how many pixels, hold each class."""

    masks: int = 0
    holding: Counter[int] = field(default_factory=Counter)
    pixels: Counter[int] = field(default_factory=Counter)

    def add(self, found: Mapping[int, int]) -> None:
        """Take one mask into account, by its :func:`pixels_by_value`."""
        self.masks += 1
        self.holding.update(found.keys())
        self.pixels.update(found)

    def shares(self, classes: Sequence[str]) -> dict[str, tuple[int, float]]:
        """Class -> how many masks hold it, and its share of the pixels that count."""
        counted = max(1, self.pixels.total() - self.pixels[IGNORED])
        return {name: (self.holding[value], self.pixels[value] / counted) for value, name in enumerate(classes)}

    def lines(self, classes: Sequence[str]) -> tuple[str, ...]:
        """What is to be said: that there is nothing in the masks, or nothing of a class, and how much is ignored."""
        said = []
        absent = [name for value, name in enumerate(classes) if value and not self.holding[value]]
        if self.masks and len(absent) == len(classes) - 1:
            said.append(
                f"None of the {self.masks} masks holds any foreground: there is nothing to learn. Look at the values "
                "in their files; docs/masks.md says how they are read."
            )
        elif self.masks and absent:
            said.append(f"None of the {self.masks} masks holds {', '.join(absent)}.")
        if self.pixels[IGNORED]:
            share = self.pixels[IGNORED] / self.pixels.total()
            said.append(f"{share:.1%} of the masks' pixels are ignored: they count in no loss and in no score.")
        return tuple(said)
