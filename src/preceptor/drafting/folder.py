"""What a draft has to know of a folder: the table of its samples, and a look at some of its images."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from preceptor.data.images import FileReader
from preceptor.data.inspect import open_found
from preceptor.data.samples import SampleTable
from preceptor.data.splits import Split, split
from preceptor.errors import UserError

_READ = 8  # images that are decoded, masks with them
_SIZED = 64  # images whose size is read from their first bytes


@dataclass(frozen=True)
class DraftedFolder:
    """A folder as a draft sees it.

    Args:
        table: every sample.
        path, source, options: what a recipe says of it.
        reasons: how the source was recognised.
        sizes: (height, width) of some images.
        is_grey: whether all channels were equal in those that were read.
        unread: what was wrong with some of those that were to be read.
        stored: what is to be said of files that hold more than 8 bits.
        split: how a run divides it, by groups or official parts where there are any.
        not_official: why the parts that it has cannot be used.
        not_by_group: why its groups cannot be divided, so that it is divided image by image.
    """

    table: SampleTable
    path: str
    source: str
    options: Mapping[str, Any]
    reasons: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    is_grey: bool
    unread: tuple[str, ...]
    stored: tuple[str, ...]
    split: Split
    not_official: str = ""
    not_by_group: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """The median height and width."""
        heights, widths = zip(*self.sizes, strict=True)
        return round(statistics.median(heights)), round(statistics.median(widths))

    @property
    def has_no_labels(self) -> bool:
        """Whether it is images alone."""
        return not self.table.classes

    @property
    def images(self) -> dict[str, int]:
        """How many images each part has."""
        return {part: len(self.split.rows(part)) for part in ("train", "validation", "test")}

    @property
    def per_class(self) -> dict[str, int]:
        """How many images each class has; nothing of masks."""
        if self.table.task == "segmentation":
            return {}
        counts = self.table.frame["label"].value_counts()
        return {name: int(counts.get(label, 0)) for label, name in enumerate(self.table.classes)}


def look(
    path: str, source: str | None = None, options: Mapping[str, Any] | None = None, channels: int = 3
) -> DraftedFolder:
    """Look at a folder, at every name in it and at a few of its images.

    Args:
        path: as a recipe will name it.
        source, options, channels: see :func:`preceptor.data.inspect.inspect`.

    Raises:
        UserError: no known layout, no image that can be read, or too few images for three parts.
    """
    table, place, source, chosen, reasons = open_found(path, source, options, channels)
    sizes, greys, unread = _read_some(table)
    reader = table.read if isinstance(table.read, FileReader) else None
    divided, not_official, not_by_group = _divided(table)
    return DraftedFolder(
        table=table,
        path=place or path,
        source=source,
        options={**chosen, **(reader.seen.suggested(reader.rules) if reader else {})},
        reasons=reasons,
        sizes=tuple((_sizes_by_header(table) if reader else []) or sizes),
        is_grey=all(greys),
        unread=tuple(unread),
        stored=reader.seen.lines(reader.rules) if reader else (),
        split=divided,
        not_official=not_official,
        not_by_group=not_by_group,
    )


def _read_some(table: SampleTable) -> tuple[list[tuple[int, int]], list[bool], list[str]]:
    """Sizes of a few images, whether they are grey, and what is wrong with the others.

    Raises:
        UserError: none of them can be read.
    """
    sizes: list[tuple[int, int]] = []
    greys: list[bool] = []
    unread: list[str] = []
    for row in _spread(len(table), _READ):
        try:
            image, _ = table.read(row)
        except UserError as error:
            unread.append(str(error))
            continue
        sizes.append((image.shape[0], image.shape[1]))
        greys.append(bool((image == image[..., :1]).all()))
    if not sizes:
        raise UserError(f"none of {len(unread)} images that were tried can be read; the first: {unread[0]}")
    return sizes, greys, unread


def _sizes_by_header(table: SampleTable) -> list[tuple[int, int]]:
    """What pillow tells of some files without decoding them."""
    from PIL import Image

    found = []
    for row in _spread(len(table), _SIZED):
        try:
            with Image.open(table.files(row)[0]) as image:
                found.append((image.height, image.width))
        except Exception:  # formats that pillow does not know, and damage, which reading a file tells better
            continue
    return found


def _spread(count: int, most: int) -> Sequence[int]:
    """Row numbers at even distances."""
    return range(0, count, max(1, -(-count // most)))


def _divided(table: SampleTable) -> tuple[Split, str, str]:
    """How it is divided: by its own parts, else by groups, else image by image; why not by parts, and by groups."""
    told: dict[str, Any] = {"classes": table.classes, "grouping": table.grouping}
    not_official = ""
    try:
        return split(table.frame, **told), "", ""
    except UserError as error:
        if not table.frame["group"].notna().any():
            raise
        reason = str(error)
    if table.frame["split"].notna().any():
        not_official = reason
        try:
            return split(table.frame, by="group", **told), not_official, ""
        except UserError as error:
            reason = str(error)
    return split(table.frame, by="image", **told), not_official, reason
