"""What a folder of images holds, before anything is trained on it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from preceptor.data.account import Account, account_for
from preceptor.data.drift import Drift, drift_of
from preceptor.data.duplicates import settle_duplicates
from preceptor.data.images import FileReader
from preceptor.data.looks import ImageLook, Track, look_at_images
from preceptor.data.masks.presence import Presence
from preceptor.data.samples import PARTS, SampleTable, is_known
from preceptor.data.sources import open_source, recognise
from preceptor.data.splits import split
from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.specs import DataSpec, Task

_Value = TypeVar("_Value", str, tuple[int, int])


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
        given: what was looked at.
        given_options: options of the source that the user gave.
        path: what a recipe names: ``given``, or a folder of it where the data lie deeper.
        source, options: what reads it, ready for a recipe.
        reasons: how the source was recognised, empty where it was given.
        channels, task, classes: see :class:`SampleTable`.
        counts: samples by class (rows) and official part (columns; ``all`` where there are none); for masks
            the one row is ``images``.
        grouping: what a group is, or None.
        groups: number of groups of each class, indexed as ``counts``; None without groups.
        group_count, group_sizes: how many groups, and smallest, median and largest number of samples in one.
        sizes: (height, width) -> number of images.
        values: smallest and largest value of a pixel as a run sees it, None where nothing could be read.
        kinds: what files say they hold -> number of images.
        grey: number of images whose channels are equal.
        odd: id -> what is odd about it: one value all over, or a mask in which there is nothing.
        account: what became of every file; None for generated data.
        class_shares: class -> how many masks hold it, and its share of their pixels; empty unless there are several
            foreground classes.
        foreground: smallest, median and largest share of foreground pixels, and the number of empty masks.
        damaged: id -> what is wrong with its files.
        equal: sets of images with equal pixels.
        stored: what values the files hold, and what a run makes of them; empty where all hold 8 bits;
            among the notes, too.
        suggested: options of the source that keep levels which a run would lose.
        splitting: how a recipe would split this by default, or why it cannot.
        sites: where images were made -> how many; empty where that is not known.
        drift: whether the parts of that split, sites and groups look alike; None where nothing can be said.
        notes: what else the user should know.
    """

    given: str | None
    given_options: dict[str, Any]
    path: str | None
    source: str
    options: dict[str, Any]
    reasons: tuple[str, ...]
    channels: int
    task: Task
    classes: tuple[str, ...]
    counts: pd.DataFrame
    grouping: str | None
    groups: "pd.Series[int] | None"
    group_count: int
    group_sizes: tuple[int, float, int] | None
    sizes: dict[tuple[int, int], int]
    values: tuple[float, float] | None
    kinds: dict[str, int]
    grey: int
    odd: dict[str, str]
    account: Account | None
    foreground: tuple[float, float, float, int] | None
    class_shares: dict[str, tuple[int, float]]
    damaged: dict[str, str]
    equal: tuple[EqualImages, ...]
    stored: tuple[str, ...]
    suggested: dict[str, int]
    splitting: str
    sites: dict[str, int]
    drift: Drift | None
    notes: tuple[str, ...]


def inspect(
    path: str | None,
    source: str | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    channels: int = 3,
    track: Track = iter,
    processes: int = 1,
) -> Inspection:
    """Read every image at ``path`` and say what is there.

    Args:
        path: of the data, may hold ``${VARIABLES}``; None for a source that generates them.
        source: key of the source; recognised where it is None.
        options: of the source; they win over recognised ones.
        channels: that images have and networks take.
        track: wraps the loop over the rows, for a progress bar.
        processes: how many read, where there are many images.

    Raises:
        UserError: no known layout, or one that breaks the rules of its source.
    """
    table, place, source, chosen, reasons = open_found(path, source, options, channels)
    looks = _looks(table, track, processes)
    frame = table.frame.assign(
        pixels=pd.Series([look.pixels for look in looks], dtype=object),
        mask_pixels=pd.Series([look.mask_pixels for look in looks], dtype=object),
    )
    seen = [look for look in looks if look.error is None]
    shares = [look.foreground for look in seen if look.foreground is not None]
    counts, groups = _counts(table)
    ids = table.frame["id"].tolist()
    masks_said = table.read.masks_said if isinstance(table.read, FileReader) else ()
    presence = Presence()
    for look in seen:
        if look.mask_values is not None:
            presence.add(look.mask_values)
    splitting, parts = _splitting(table, frame)
    stored = table.read.seen.lines(table.read.rules) if isinstance(table.read, FileReader) else ()
    return Inspection(
        given=path,
        given_options=dict(options or {}),
        path=place,
        source=source,
        options=chosen,
        reasons=reasons,
        channels=table.channels,
        task=table.task,
        classes=table.classes,
        counts=counts,
        grouping=table.grouping,
        groups=groups,
        group_count=table.frame["group"].nunique(),
        group_sizes=_group_sizes(table),
        sizes=_most_first(look.size for look in seen if look.size is not None),
        values=(min(look.low for look in seen), max(look.high for look in seen)) if seen else None,
        kinds=_most_first(look.kind for look in seen),
        grey=sum(look.is_grey for look in seen),
        odd={name: what for name, look in zip(ids, looks, strict=True) if (what := _odd(look))},
        account=None if path is None else account_for(expand(path), table),
        foreground=(min(shares), float(np.median(shares)), max(shares), shares.count(0.0)) if shares else None,
        class_shares=presence.shares(table.classes) if presence.masks and len(table.classes) > 2 else {},
        damaged={name: look.error for name, look in zip(ids, looks, strict=True) if look.error is not None},
        equal=_equal(table, frame),
        stored=stored,
        suggested=table.read.seen.suggested(table.read.rules) if isinstance(table.read, FileReader) else {},
        splitting=splitting,
        sites=_most_first(table.site_of.values()),
        drift=drift_of(frame, [look.appearance for look in looks], parts),
        notes=(*table.notes, *stored, *masks_said, *presence.lines(table.classes), *_mostly_foreground(table, shares)),
    )


def _looks(table: SampleTable, track: Track, processes: int) -> list[ImageLook]:
    """A look at every row, at the masks of those alone that have one."""
    looks = look_at_images(table, track, processes)
    if table.task == "classification":
        return looks
    return [
        look if has_mask else replace(look, mask_pixels=None, mask_values=None)
        for look, has_mask in zip(looks, is_known(table.frame), strict=True)
    ]


def open_found(
    path: str | None, source: str | None = None, options: Mapping[str, Any] | None = None, channels: int = 3
) -> tuple[SampleTable, str | None, str, dict[str, Any], tuple[str, ...]]:
    """The table of the data at ``path``; where it lies, what reads it with which options, and how that was told.

    Args and errors are those of :func:`inspect`.
    """
    reasons: tuple[str, ...] = ()
    chosen = dict(options or {})
    place = path
    if source is None:
        if path is None:
            raise UserError("give the path of the data, or a source that needs none")
        found = recognise(expand(path))
        source, reasons = found.key, found.reasons
        place = path if found.path is None else str(Path(path) / found.path.relative_to(expand(path)))
        chosen = {**found.options, **chosen}
    wanted = DataSpec(source=source, channels=channels)
    return open_source(source, place, chosen, wanted), place, source, chosen, reasons


def _most_first(values: Iterable[_Value]) -> dict[_Value, int]:
    """How often each value comes, most frequent first."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _odd(look: ImageLook) -> str | None:
    if look.error is None and look.low == look.high:
        return f"one value all over, {look.low:g}"
    return "nothing in its mask" if look.foreground == 0 else None


def _counts(table: SampleTable) -> tuple[pd.DataFrame, "pd.Series[int] | None"]:
    frame = table.frame
    segmentation = table.task == "segmentation"
    is_whole = is_known(frame).all()
    kind: pd.Series[Any]
    if segmentation and not is_whole:
        rows: tuple[str, ...] = ("with a mask", "no mask")
        kind = pd.Series(np.where(is_known(frame), *rows), index=frame.index)
    elif segmentation or not table.classes:
        rows, kind = ("images",), pd.Series("images", index=frame.index)
    else:
        rows = table.classes if is_whole else (*table.classes, "no label")
        kind = frame["label"].map(dict(enumerate(table.classes))).fillna("no label")
    parts = [part for part in PARTS if (frame["split"] == part).any()] or ["all"]
    counts = pd.crosstab(kind, frame["split"].fillna("all")).reindex(index=rows, columns=parts, fill_value=0)
    counts = counts.rename_axis(index=None, columns=None)
    if not frame["group"].notna().any():
        return counts, None
    return counts, frame["group"].groupby(kind).nunique().reindex(rows, fill_value=0).astype(int)


def _mostly_foreground(table: SampleTable, shares: Sequence[float]) -> tuple[str, ...]:
    """A note where masks may be the other way round."""
    share = float(np.median(shares)) if shares and len(table.classes) == 2 else 0.0
    if share <= 0.5:
        return ()
    return (
        f"foreground is {share:.0%} of the median mask; where the dark part of a mask is what was drawn, say so by the "
        "option mask_values=[255, 0]",
    )


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


def _splitting(table: SampleTable, frame: pd.DataFrame) -> tuple[str, "pd.Series[str] | None"]:
    """How a recipe would split by default, in words, and the part of each row; None where it cannot."""
    if not frame["pixels"].notna().any():
        return "cannot be split: no image could be read", None
    try:
        settled, notes = settle_duplicates(frame[frame["pixels"].notna()], "drop")
        if len(settled) and not is_known(settled).any():
            what = "label" if table.task == "classification" else "mask"
            return f"cannot be split: no image that has a {what} could be read", None
        settled = settled[is_known(settled)]
        done = split(settled, classes=table.classes, grouping=table.grouping)
    except UserError as error:
        return f"cannot be split by default: {error}", None
    how = {"group": f"by {table.grouping or 'group'}", "image": "by image", "official": "as published"}[done.by]
    sizes = ", ".join(f"{len(done.rows(part))} {part}" for part in PARTS)
    return " ".join([f"{how}: {sizes}.", *notes, *done.notes]), done.parts
