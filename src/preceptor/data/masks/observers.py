"""Masks of the same images by two observers: how far they agree is what a network can be measured against."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from preceptor.data.images import FileReader
from preceptor.data.samples import Pixels, SampleTable


@dataclass(frozen=True)
class SecondObserver:
    """The masks of a second observer beside those that networks learn from.

    Args:
        reader: of both.
        rows: id of an image -> its row.
    """

    reader: FileReader
    rows: dict[str, int]

    def pairs(self, ids: Iterable[str]) -> Iterator[tuple[Pixels, Pixels]]:
        """(1, H, W) masks of the first and the second observer, as large as their files, of those images with both."""
        for name in dict.fromkeys(ids):
            row = self.rows[name]
            if not (self.reader.second and self.reader.second[row]):
                continue
            _, first = self.reader(row)
            assert first is not None, "a second observer comes beside a first one"
            second = self.reader.second_mask(row, (first.shape[0], first.shape[1]))
            assert second is not None
            yield first[np.newaxis], second[np.newaxis]


def second_observer(table: SampleTable) -> SecondObserver | None:
    """Who that is in ``table``; None where there is none."""
    if not isinstance(table.read, FileReader) or not any(table.read.second or ()):
        return None
    return SecondObserver(table.read, {name: row for row, name in enumerate(table.frame["id"].tolist())})
