"""Reading every image of a set once: what is damaged, and what the others are like."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

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
    with _workers(table.read, table.files, processes if len(table) >= _ENOUGH else 1) as (workers, look):
        ahead = workers.map(look, (range(start, min(start + _CHUNK, len(table))) for start in starts))
        for _, (found, seen) in zip(track(starts), ahead, strict=True):
            looks += found
            if seen is not None and isinstance(table.read, FileReader):
                table.read.seen.add(seen)
    return looks


FilesOfRow = Callable[[int], tuple[str, ...]]
LooksAtRows = tuple[list[ImageLook], Counted | None]
"""Looks at some rows, and what another process has seen in their files."""
_reading: tuple[Reader, FilesOfRow] | None = None  # of this process, where it is one that others have started


@contextmanager
def _workers(
    read: Reader, files: FilesOfRow, processes: int
) -> Iterator[tuple[Executor, Callable[[range], LooksAtRows]]]:
    if processes == 1:
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
            yield threads, partial(_look_at_rows, read, files)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _start, (read, files)) as pool:
        yield pool, _look_there


def _start(read: Reader, files: FilesOfRow) -> None:
    global _reading  # the only way to hand a process something once
    _reading = read, files


def _look_there(rows: range) -> LooksAtRows:
    assert _reading is not None
    read, _ = _reading
    looks, _ = _look_at_rows(*_reading, rows)
    return looks, read.seen.taken() if isinstance(read, FileReader) else None


def _look_at_rows(read: Reader, files: FilesOfRow, rows: range) -> LooksAtRows:
    return [_look(read, files, row) for row in rows], None


def _look(read: Reader, files: FilesOfRow, row: int) -> ImageLook:
    try:
        image, mask = read(row)
        names = files(row)
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
    )
