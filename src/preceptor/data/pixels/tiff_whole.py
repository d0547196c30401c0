"""Whether all pixels of a TIFF are there.

Readers of TIFF fill up what a damaged file lacks, with zeros or with whatever the memory held. So what the file
says of itself is compared with what it holds before any of them decodes it.
"""

import math
import os
import struct
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np

from preceptor.data.pixels.reading import DamagedImageError

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE_NUMBERS = {1: "u1", 3: "u2", 4: "u4", 16: "u8"}
_PAGES, _PARTS = 100, 1_000_000
"""Of a TIFF that a stranger sends: pages, and values of one tag."""
WIDTH, HEIGHT, BITS, COMPRESSION, MEANING, STRIPS, SAMPLES, ROWS, STRIP_BYTES = (
    256, 257, 258, 259, 262, 273, 277, 278, 279,
)  # fmt: skip
PLANES, PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES, EXTRA, KIND, TABLES = (
    284, 317, 322, 323, 324, 325, 338, 339, 347,
)  # fmt: skip
_FOR_PIXELS = frozenset({
    WIDTH, HEIGHT, BITS, COMPRESSION, MEANING, STRIPS, SAMPLES, ROWS, STRIP_BYTES, PLANES, PREDICTOR, TILE_WIDTH,
    TILE_HEIGHT, TILES, TILE_BYTES, EXTRA, KIND, TABLES,
})  # fmt: skip


def require_whole(file: BinaryIO) -> None:
    """Refuse a TIFF whose first image is described or stored in part only; its position in the file stays.

    Raises:
        DamagedImageError: with what is missing.
    """
    before = file.tell()
    found = _first_directory(file)
    file.seek(before)
    if found is None:
        return  # no TIFF, which its reader will say
    if not found.get(WIDTH) or not found.get(HEIGHT):
        raise DamagedImageError("it says nothing of its width and height")
    width, height = found[WIDTH], found[HEIGHT]
    is_tiled = TILES in found or TILE_WIDTH in found
    if is_tiled:
        across = found.get(TILE_WIDTH, 0), found.get(TILE_HEIGHT, 0)
        if not all(across):
            raise DamagedImageError("the size of its tiles is missing")
        wanted = math.ceil(width / across[0]) * math.ceil(height / across[1])
    else:
        wanted = math.ceil(height / max(1, min(found.get(ROWS, height), height)))
    if found.get(PLANES, 1) == 2:
        wanted *= found.get(SAMPLES, 1)
    parts = found.get(-TILES if is_tiled else -STRIPS, 0)
    if parts < wanted:
        raise DamagedImageError(f"it lists {parts} parts of the image, {wanted} were expected")


def require_stored(page: Any, size: int) -> None:
    """Refuse parts that tifffile would fill up: empty, beyond the end of the file, or too short."""
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if not 0 < count <= size - offset:
            raise DamagedImageError(f"the file ends early or lacks a part: {count} bytes at {offset} of {size}")
    held = sum(page.databytecounts)
    if page.compression == 1 and page.bitspersample % 8 == 0 and held < page.nbytes:
        raise DamagedImageError(f"it holds {held} bytes of pixels, {page.nbytes} were expected")


def require_few_directories(file: BinaryIO) -> None:
    """Refuse a TIFF with more pages, or more said of them, than an image has; its position in the file stays.

    Raises:
        DamagedImageError: with what is too much.
    """
    before, head = file.tell(), _head(file)
    held = pages = 0
    while head is not None and head.start:
        values, following = _values(file, head)
        held += sum(number * _SIZES.get(kind, 1) for _, kind, number, _ in values)
        pages += 1
        if pages > _PAGES or held > head.size or any(number > _PARTS for _, kind, number, _ in values if kind != 7):
            raise DamagedImageError("it has more pages, or says more of them, than an image")
        head = replace(head, start=following)
    file.seek(before)


@dataclass(frozen=True, slots=True)
class _Head:
    """How a TIFF is laid out: byte order, 64 bits or 32, where a directory begins, bytes of the file."""

    order: str
    is_big: bool
    start: int
    size: int

    def number(self, field: bytes) -> int:
        return int.from_bytes(field, "little" if self.order == "<" else "big")


_Value = tuple[int, int, int, bytes]
"""Tag, kind, number of values, and the field that has them or says where they are."""


def _head(file: BinaryIO) -> _Head | None:
    """None where this is no TIFF."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 16:
        return None
    version = struct.unpack(f"{order}H", head[2:4])[0]
    if version not in (42, 43):
        return None
    found = _Head(order, version == 43, 0, size)
    return replace(found, start=found.number(head[8:16] if found.is_big else head[4:8]))


def _values(file: BinaryIO, head: _Head) -> tuple[list[_Value], int]:
    """What a directory says, and where the next one begins."""
    layout, count_bytes, field_bytes = (f"{head.order}HHQ", 8, 8) if head.is_big else (f"{head.order}HHI", 2, 4)
    count = head.number(_at(file, head.start, count_bytes, head.size))
    entry_bytes = struct.calcsize(layout) + field_bytes
    entries = _at(file, head.start + count_bytes, count * entry_bytes, head.size)
    following = head.number(file.read(field_bytes))
    found = []
    for place in range(0, len(entries), entry_bytes):
        tag, kind, number = struct.unpack_from(layout, entries, place)
        found.append((tag, kind, number, entries[place + entry_bytes - field_bytes : place + entry_bytes]))
    return found, following


def _first_directory(file: BinaryIO) -> dict[int, int] | None:
    """Tag -> first value of what describes the first image's pixels, and minus tag -> number of values.

    None where this is no TIFF.
    """
    head = _head(file)
    if head is None:
        return None
    found: dict[int, int] = {}
    for tag, kind, number, field in _values(file, head)[0]:
        if tag not in _FOR_PIXELS or kind not in _SIZES or not number:
            continue
        wanted = number * _SIZES[kind]
        if wanted > len(field):
            field = _at(file, head.number(field), wanted, head.size)[:8]
        if kind in _WHOLE_NUMBERS:
            dtype = np.dtype(f"{head.order}{_WHOLE_NUMBERS[kind]}")
            found[tag] = int(np.frombuffer(field[: dtype.itemsize], dtype=dtype)[0])
        found[-tag] = number
    return found


def _at(file: BinaryIO, start: int, count: int, size: int) -> bytes:
    if start + count > size:
        raise DamagedImageError("the file ends before the description of its pixels does")
    file.seek(start)
    return file.read(count)
