"""What a folder of images holds, before anything is trained on it."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from preceptor.data.images import FileReader, pixel_hash
from preceptor.data.samples import PARTS, SampleTable
from preceptor.data.sources import open_source, recognise
from preceptor.data.splits import split
from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.specs import Task

Track = Callable[[Iterable[int]], Iterable[int]]


@dataclass(frozen=True)
class EqualImages:
    """Images with equal pixels: their ids, classes, groups and official parts, in one order."""

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    groups: tuple[str | None, ...]
    parts: tuple[str | None, ...]
    masks_differ: bool = False

    @property
    def conflicting(self) -> bool:
        """Whether labels, or masks, differ."""
        return len(set(self.classes)) > 1 or self.masks_differ

    @property
    def across_parts(self) -> bool:
        """Whether they are in several official parts."""
        return len(set(self.parts)) > 1


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Args:
        path: what was looked at.
        source, options: what reads it, ready for a recipe.
        reasons: how the source was recognised, empty where it was given.
        task, classes: see :class:`SampleTable`.
        counts: samples by class (rows) and official part (columns; ``all`` where there are none); for masks
            the one row is ``images``.
        grouping: what a group is, or None.
        groups: number of groups of each class, indexed as ``counts``; None without groups.
        group_count, group_sizes: how many groups, and smallest, median and largest number of samples in one.
        sizes: (height, width) -> number of images.
        foreground: smallest, median and largest share of foreground pixels, and the number of empty masks.
        damaged: id -> what is wrong with its files.
        equal: sets of images with equal pixels.
        values: what values the files hold, and what a run makes of them; empty where all hold 8 bits;
            among the notes, too.
        suggested: options of the source that keep levels which a run would lose.
        splitting: how a recipe would split this by default, or why it cannot.
        notes: what else the user should know.
    """

    path: str | None
    source: str
    options: dict[str, Any]
    reasons: tuple[str, ...]
    task: Task
    classes: tuple[str, ...]
    counts: pd.DataFrame
    grouping: str | None
    groups: "pd.Series[int] | None"
    group_count: int
    group_sizes: tuple[int, float, int] | None
    sizes: dict[tuple[int, int], int]
    foreground: tuple[float, float, float, int] | None
    damaged: dict[str, str]
    equal: tuple[EqualImages, ...]
    values: tuple[str, ...]
    suggested: dict[str, int]
    splitting: str
    notes: tuple[str, ...]


def inspect(
    path: str | None,
    source: str | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    track: Track = iter,
) -> Inspection:
    """Read every image at ``path`` and say what is there.

    Args:
        path: of the data, may hold ``${VARIABLES}``; None for a source that generates them.
        source: key of the source; recognised where it is None.
        options: of the source; they win over recognised ones.
        track: wraps the loop over the rows, for a progress bar.

    Raises:
        UserError: no known layout, or one that breaks the rules of its source.
    """
    reasons: tuple[str, ...] = ()
    chosen = dict(options or {})
    if source is None:
        if path is None:
            raise UserError("give the path of the data, or a source that needs none")
        found = recognise(expand(path))
        source, reasons = found.key, found.reasons
        chosen = {**found.options, **chosen}
    table = open_source(source, path, chosen)
    looks = _look(table, track)
    frame = table.frame.assign(
        pixels=pd.Series([look.pixels for look in looks], dtype=object),
        mask_pixels=pd.Series([look.mask_pixels for look in looks], dtype=object),
    )
    shares = [look.foreground for look in looks if look.foreground is not None]
    counts, groups = _counts(table)
    sizes = Counter(look.size for look in looks if look.size is not None)
    values = table.read.seen.lines(table.read.rules) if isinstance(table.read, FileReader) else ()
    return Inspection(
        path=path,
        source=source,
        options=chosen,
        reasons=reasons,
        task=table.task,
        classes=table.classes,
        counts=counts,
        grouping=table.grouping,
        groups=groups,
        group_count=table.frame["group"].nunique(),
        group_sizes=_group_sizes(table),
        sizes=dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0]))),
        foreground=(min(shares), float(np.median(shares)), max(shares), shares.count(0.0)) if shares else None,
        damaged={str(frame["id"].iloc[row]): look.error for row, look in enumerate(looks) if look.error is not None},
        equal=_equal(table, frame),
        values=values,
        suggested=table.read.seen.suggested(table.read.rules) if isinstance(table.read, FileReader) else {},
        splitting=_splitting(table),
        notes=(*table.notes, *values),
    )


@dataclass(frozen=True)
class _Look:
    size: tuple[int, int] | None = None
    pixels: str | None = None
    mask_pixels: str | None = None
    foreground: float | None = None
    error: str | None = None


def _look(table: SampleTable, track: Track) -> list[_Look]:
    def one(row: int) -> _Look:
        try:
            image, mask = table.read(row)
        except UserError as error:
            return _Look(error=str(error))
        size = (image.shape[0], image.shape[1])
        if mask is None:
            return _Look(size, pixel_hash(image))
        return _Look(size, pixel_hash(image), pixel_hash(mask), float(np.count_nonzero(mask)) / mask.size)

    looks: list[_Look] = []
    chunk = 256  # bounds what waits in memory
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for start in track(range(0, len(table), chunk)):
            looks += pool.map(one, range(start, min(start + chunk, len(table))))
    return looks


def _counts(table: SampleTable) -> tuple[pd.DataFrame, "pd.Series[int] | None"]:
    frame = table.frame
    segmentation = table.task == "segmentation"
    rows = ("images",) if segmentation else table.classes
    kind = (
        pd.Series("images", index=frame.index) if segmentation else frame["label"].map(dict(enumerate(table.classes)))
    )
    parts = [part for part in PARTS if (frame["split"] == part).any()] or ["all"]
    counts = pd.crosstab(kind, frame["split"].fillna("all")).reindex(index=rows, columns=parts, fill_value=0)
    counts = counts.rename_axis(index=None, columns=None)
    if not frame["group"].notna().any():
        return counts, None
    return counts, frame["group"].groupby(kind).nunique().reindex(rows, fill_value=0).astype(int)


def _group_sizes(table: SampleTable) -> tuple[int, float, int] | None:
    sizes = table.frame["group"].value_counts()
    return (int(sizes.min()), float(sizes.median()), int(sizes.max())) if len(sizes) else None


def _equal(table: SampleTable, frame: pd.DataFrame) -> tuple[EqualImages, ...]:
    repeated = frame[frame["pixels"].notna() & frame["pixels"].duplicated(keep=False)]
    sets = []
    for _, rows in repeated.groupby("pixels"):
        labels = [table.classes[label] if label >= 0 else "" for label in rows["label"]]
        sets.append(
            EqualImages(
                tuple(rows["id"]),
                tuple(labels),
                tuple(rows["group"]),
                tuple(rows["split"]),
                rows["mask_pixels"].nunique() > 1,
            )
        )
    return tuple(sorted(sets, key=lambda found: found.ids))


def _splitting(table: SampleTable) -> str:
    try:
        done = split(table.frame, classes=table.classes, grouping=table.grouping)
    except UserError as error:
        return f"cannot be split by default: {error}"
    how = {"group": f"by {table.grouping or 'group'}", "image": "by image", "official": "as published"}[done.by]
    sizes = ", ".join(f"{len(done.rows(part))} {part}" for part in PARTS)
    return " ".join([f"{how}: {sizes}.", *done.notes])
