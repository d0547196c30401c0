"""Reading every image of a set once: what is damaged, and what the others are like."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

from preceptor.data.appearance import appearance, spread
from preceptor.data.decoded import pixel_hash
from preceptor.data.depths import stored_kind
from preceptor.data.images import FileReader
from preceptor.data.masks.presence import pixels_by_value
from preceptor.data.pixels.facts import Counted
from preceptor.data.samples import Reader, SampleTable
from preceptor.errors import UserError
from preceptor.specs import IGNORED

Track = Callable[[Iterable[int]], Iterable[int]]

_CHUNK = 256  # rows read between two steps of a progress bar; bounds what waits in memory
_ENOUGH = 2000  # images for which other processes are worth the second that they take to start


@dataclass(frozen=True, slots=True)
class ImageLook:
    """What one image is like.

    Args:
        size: height and width.
        pixels, mask_pixels: hashes of the values.
        low, high: smallest and largest value, as a run sees them.
        is_grey: whether all channels are equal.
        kind: what the file says it holds.
        mask_values: value of the mask -> number of its pixels.
        appearance: see :func:`preceptor.data.appearance.appearance`; None where nobody asked.
        error: what is wrong; nothing else is known then.
    """

    size: tuple[int, int] | None = None
    pixels: str | None = None
    mask_pixels: str | None = None
    low: float = 0.0
    high: float = 0.0
    is_grey: bool = False
    kind: str = "other"
    mask_values: Mapping[int, int] | None = None
    appearance: Mapping[str, float] | None = None
    error: str | None = None

    @property
    def foreground(self) -> float | None:
        """Share of foreground among the pixels of the mask that count; None without a mask."""
        if self.mask_values is None:
            return None
        counted = {value: count for value, count in self.mask_values.items() if value != IGNORED}
        return 1 - counted.get(0, 0) / max(1, sum(counted.values())) if counted else 0.0


def look_at_images(table: SampleTable, track: Track = iter, processes: int = 1) -> list[ImageLook]:
    """A look at every row.

    Args:
        table: what is looked at.
        track: wraps the loop over the rows, which goes by some hundred at a time, for a progress bar.
        processes: how many read, where there are many images.
    """
    looks: list[ImageLook] = []
    starts = range(0, len(table), _CHUNK)
    shown = frozenset(spread(len(table)).tolist())
    with _workers(table, shown, processes if len(table) >= _ENOUGH else 1) as (workers, look):
        ahead = workers.map(look, (range(start, min(start + _CHUNK, len(table))) for start in starts))
        for _, (found, seen) in zip(track(starts), ahead, strict=True):
            looks += found
            if seen is not None and isinstance(table.read, FileReader):
                table.read.seen.add(seen)
    return looks


LooksAtRows = tuple[list[ImageLook], Counted | None]
"""Looks at some rows, and what another process has seen in their files."""


@dataclass(frozen=True)
class _Looking:
    """How rows are looked at; the rows ``shown`` for their appearance too."""

    read: Reader
    files: Callable[[int], tuple[str, ...]]
    shown: frozenset[int]

    def at(self, rows: range) -> LooksAtRows:
        return [_look(self, row) for row in rows], None


_looking: _Looking | None = None  # of this process, where it is one that others have started


@contextmanager
def _workers(
    table: SampleTable, shown: frozenset[int], processes: int
) -> Iterator[tuple[Executor, Callable[[range], LooksAtRows]]]:
    looking = _Looking(table.read, table.files, shown)
    if processes == 1:
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
            yield threads, looking.at
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _start, (looking,)) as pool:
        yield pool, _look_there


def _start(looking: _Looking) -> None:
    global _looking  # the only way to hand a process something once
    _looking = looking


def _look_there(rows: range) -> LooksAtRows:
    assert _looking is not None
    looks, _ = _looking.at(rows)
    return looks, _looking.read.seen.taken() if isinstance(_looking.read, FileReader) else None


def _look(looking: _Looking, row: int) -> ImageLook:
    try:
        image, mask = looking.read(row)
        names = looking.files(row)
        kind = stored_kind(names[0]) if names else "generated"
    except UserError as error:
        return ImageLook(error=str(error))
    return ImageLook(
        size=(image.shape[0], image.shape[1]),
        pixels=pixel_hash(image),
        mask_pixels=None if mask is None else pixel_hash(mask),
        low=float(image.min()),
        high=float(image.max()),
        is_grey=bool((image == image[..., :1]).all()),
        kind=kind,
        mask_values=None if mask is None else pixels_by_value(mask),
        appearance={name: float(value[0]) for name, value in appearance(image[None]).items()}
        if row in looking.shown
        else None,
    )
