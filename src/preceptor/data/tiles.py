"""Cutting images into tiles, and putting what was computed on tiles together again."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.data.resize import fill
from preceptor.data.samples import Pixels
from preceptor.errors import UserError

Logits = NDArray[np.float32]


def tile_grid(height: int, width: int, size: int, overlap: int = 0) -> NDArray[np.int64]:
    """Top left corners (y, x) of tiles that cover an image, row by row, shape (T, 2).

    Neighbours share ``overlap`` pixels; the last tile of a row or column lies flush with the border
    and so may share more. A side shorter than ``size`` gets one tile, which sticks out.

    Raises:
        UserError: an overlap that leaves no way forward.
    """
    if not 0 <= overlap < size:
        raise UserError(f"tile: overlap is {overlap}; it must be at least 0 and smaller than the tile size, {size}.")
    rows, columns = _starts(height, size, size - overlap), _starts(width, size, size - overlap)
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def _starts(length: int, size: int, stride: int) -> NDArray[np.int64]:
    last = max(length - size, 0)
    return np.unique(np.append(np.arange(0, last + 1, stride, dtype=np.int64), last))


def cut(
    image: Pixels, mask: Pixels | None, size: int, overlap: int = 0
) -> list[tuple[int, int, Pixels, Pixels | None]]:
    """The tiles of one image as (y, x, image, mask); small images are filled up at the bottom and right.

    Filling takes the border's colour for the image and :data:`~preceptor.specs.IGNORED` for the mask.
    """
    height, width = image.shape[:2]
    image, mask = fill(image, mask, max(height, size), max(width, size))
    return [
        (int(y), int(x), image[y : y + size, x : x + size], None if mask is None else mask[y : y + size, x : x + size])
        for y, x in tile_grid(height, width, size, overlap)
    ]


def stitch(logits: Logits, tiles: pd.DataFrame) -> dict[str, Logits]:
    """Whole-image logits by parent: overlapping tiles are averaged, filled-up borders cut off.

    Args:
        logits: (T, C, size, size).
        tiles: the T rows of the packed table these belong to, with ``parent``, ``y``, ``x``, ``height``
            and ``width`` (of the parent), in any order; every parent's tiles must be complete.

    Returns:
        (C, height, width) per parent, in order of first appearance.
    """
    wholes: dict[str, Logits] = {}
    for parent, members in _by_parent(tiles):
        corners = list(zip(*_corners(tiles, members), strict=True))
        wholes[parent] = joined_tiles(
            [logits[member] for member in members], corners, _extent(tiles, members), name=parent
        )
    return wholes


def joined_tiles(
    logits: Sequence[Logits], corners: Sequence[tuple[int, int]], extent: tuple[int, int], *, name: str
) -> Logits:
    """(C, height, width) logits of one image from the (C, size, size) of its tiles, as :func:`stitch`.

    Args:
        corners: top left (y, x) of each tile.
        extent: (height, width) of the image.
        name: of the image, for errors.
    """
    (channels, size, _), (height, width) = logits[0].shape, extent
    total = np.zeros((channels, max(height, size), max(width, size)), dtype=np.float32)
    count = np.zeros(total.shape[1:], dtype=np.float32)
    for tile, (y, x) in zip(logits, corners, strict=True):
        total[:, y : y + size, x : x + size] += tile
        count[y : y + size, x : x + size] += 1
    total, count = total[:, :height, :width], count[:height, :width]
    if not count.all():
        raise ValueError(f"stitch: some tiles of {name!r} are missing; give all of an image's tiles at once.")
    return np.asarray(total / count, dtype=np.float32)


def stitch_masks(masks: Pixels, tiles: pd.DataFrame) -> dict[str, Pixels]:
    """Whole-image masks by parent from the (T, size, size) masks of its tiles; see :func:`stitch`."""
    wholes: dict[str, Pixels] = {}
    for parent, members in _by_parent(tiles):
        size, (height, width) = masks.shape[-1], _extent(tiles, members)
        whole = np.zeros((max(height, size), max(width, size)), dtype=np.uint8)
        for member, y, x in zip(members, *_corners(tiles, members), strict=True):
            whole[y : y + size, x : x + size] = masks[member]
        wholes[parent] = whole[:height, :width]
    return wholes


def _by_parent(tiles: pd.DataFrame) -> list[tuple[str, NDArray[np.int64]]]:
    codes, parents = pd.factorize(tiles["parent"].to_numpy(dtype=object))
    return [(str(parent), np.flatnonzero(codes == code)) for code, parent in enumerate(parents)]


def _extent(tiles: pd.DataFrame, members: NDArray[np.int64]) -> tuple[int, int]:
    first = tiles.iloc[int(members[0])]
    return int(first["height"]), int(first["width"])


def _corners(tiles: pd.DataFrame, members: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    return tiles["y"].to_numpy()[members].tolist(), tiles["x"].to_numpy()[members].tolist()
