"""The sample table: what a source found, before anything is decoded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.data.names import check_names
from preceptor.errors import UserError
from preceptor.specs import Task

Pixels = NDArray[Any]
"""Levels of brightness, uint8 or uint16, or the classes of a mask, uint8."""
Reader = Callable[[int], tuple[Pixels, Pixels | None]]

COLUMNS = ("id", "image", "mask", "label", "group", "split")
PARTS = ("train", "validation", "test")


@runtime_checkable
class _Takes(Protocol):
    """A reader that knows more than single rows."""

    def take(self, rows: Sequence[int]) -> Reader:
        """A reader of some of the rows."""


def no_files(row: int) -> tuple[str, ...]:
    """The files of a row of generated data: none."""
    return ()


@dataclass(frozen=True)
class SampleTable:
    """Every sample of a data set, one row each, in a stable order.

    Args:
        source: the key of the source that made it.
        task: classification or segmentation.
        classes: class names by label; for masks the names by pixel value, background first.
        frame: columns ``id`` (unique text), ``image`` and ``mask`` (where each came from, in the user's
            words; mask is None without one), ``label`` (int64, -1 for masks), ``group`` (text or None)
            and ``split`` (official part: ``train``, ``validation``, ``test``, or None), index 0…N-1; and, where it
            is known, ``site`` (text: where the image was made).
        read: row number -> ((H, W, channels) image, (H, W) uint8 mask of class values or None);
            raises UserError that names the file where it cannot be decoded.
        ignores: masks may hold :data:`~preceptor.specs.IGNORED`, for pixels that count in no loss and in no score.
        channels, depth: of the images: how many, and bits of each value: 8 for uint8, 16 for uint16.
        grouping: what a group is (``patient``, ``lesion``, ``slide`` …), or None where none is known.
        identity: what the pixels depend on besides files (options of a generator, of a reader).
        files: row number -> paths whose size and content identify the row; empty for generated data.
        notes: what the user should know about this data, one sentence each.
        read_besides: files that were read besides those of the rows: tables, lists of classes.
        left_out: files that are not used on purpose, each with the reason, in the plural.
    """

    source: str
    task: Task
    classes: tuple[str, ...]
    frame: pd.DataFrame
    read: Reader
    grouping: str | None = None
    files: Callable[[int], tuple[str, ...]] = no_files
    identity: str = ""
    notes: tuple[str, ...] = ()
    channels: int = 3
    depth: int = 8
    ignores: bool = False
    read_besides: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_names("names of classes", self.classes)
        check_names("name of the groups", (self.grouping,))

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def site_of(self) -> dict[str, str]:
        """Id -> where the image was made, of those of which it is known."""
        if "site" not in self.frame:
            return {}
        known = self.frame[self.frame["site"].notna()]
        return dict(zip(known["id"], known["site"], strict=True))

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Some of the samples, in this order, as a table by itself."""
        numbers: list[int] = rows.tolist()
        frame = self.frame.iloc[rows].reset_index(drop=True)
        read = self.read.take(numbers) if isinstance(self.read, _Takes) else lambda row: self.read(numbers[row])
        return replace(self, frame=frame, read=read, files=lambda row: self.files(numbers[row]))


def sample_frame(
    ids: Sequence[str],
    images: Sequence[str],
    *,
    labels: Sequence[int] | NDArray[np.integer] | None = None,
    masks: Sequence[str | None] | None = None,
    groups: Sequence[str | None] | None = None,
    splits: Sequence[str | None] | None = None,
) -> pd.DataFrame:
    """The frame of a :class:`SampleTable`, with the column types it promises.

    Raises:
        UserError: there is no sample, two have one id, or a name is none that tables and terminals can hold.
    """
    count = len(ids)
    if count == 0:
        raise UserError("the data set has no images")
    for what, names in (("images", images), ("ids of images", ids), ("masks", masks or ()), ("groups", groups or ())):
        check_names(f"names of {what}" if what != "ids of images" else what, names)
    frame = pd.DataFrame(
        {
            "id": pd.Series(ids, dtype=object),
            "image": pd.Series(images, dtype=object),
            "mask": _texts(masks, count),
            "label": np.full(count, -1, dtype=np.int64) if labels is None else np.asarray(labels, dtype=np.int64),
            "group": _texts(groups, count),
            "split": _texts(splits, count),
        }
    )
    repeated = frame["id"].duplicated(keep=False)
    if repeated.any():
        first = frame.loc[repeated, "id"].iloc[0]
        where = ", ".join(frame.loc[frame["id"] == first, "image"].head(3))
        raise UserError(
            f"{int(repeated.sum())} samples share an id with another one, for example {first!r} ({where}): "
            "each sample needs an id of its own"
        )
    return frame


def _texts(values: Sequence[str | None] | None, count: int) -> NDArray[np.object_]:
    """An object column, in which None stays None."""
    column = np.full(count, None, dtype=object)
    if values is not None:
        column[:] = values
    return column
