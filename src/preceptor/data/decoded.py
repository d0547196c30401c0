"""One row of a sample table, decoded and compared with what the table promises."""

import hashlib
from typing import Any

import numpy as np

from preceptor.data.images import FileReader
from preceptor.data.packed import HASH_BYTES
from preceptor.data.samples import KNOWN, Pixels, SampleTable
from preceptor.errors import UserError
from preceptor.specs import IGNORED


def read_row(table: SampleTable, row: int) -> tuple[Pixels, Pixels | None]:
    """The image and the mask of a row, which is background alone where the table says that there is none.

    Raises:
        UserError: they cannot be decoded or do not fit each other; names the file.
    """
    try:
        image, mask = table.read(row)
    except UserError:
        raise
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises all three for damaged files
        where = table.frame.iloc[row]
        raise UserError(
            f"{where['image']}: cannot be decoded: {error}.\n"
            "Replace or remove the file; `preceptor data inspect` lists every damaged one."
        ) from error
    assert image.dtype.itemsize * 8 == table.depth, f"{table.source} gave {image.dtype} pixels for row {row}"
    assert image.ndim == 3, f"{table.source} gave pixels of shape {image.shape} for row {row}"
    assert image.shape[2] == table.channels, f"{table.source} gave pixels of shape {image.shape} for row {row}"
    if table.task == "classification":
        return image, None
    where = table.frame.iloc[row]
    if not where.get(KNOWN, True):
        return image, np.zeros(image.shape[:2], dtype=np.uint8)
    if mask is None:
        raise UserError(f"{where['image']}: has no mask. Segmentation needs one for every image.")
    if mask.shape != image.shape[:2]:
        raise UserError(
            f"{where['mask']}: the mask is {mask.shape[0]} × {mask.shape[1]} pixels, "
            f"its image {where['image']} {image.shape[0]} × {image.shape[1]}.\nThey must be of one size."
        )
    counting = mask[mask != IGNORED] if table.ignores else mask
    if int(counting.max(initial=0)) >= len(table.classes):
        raise UserError(
            f"{where['mask']}: the mask holds the value {int(counting.max())}, but there are only "
            f"{len(table.classes)} classes (0 to {len(table.classes) - 1}): {', '.join(table.classes)}."
        )
    return image, mask.astype(np.uint8, copy=False)


def pixel_hash(pixels: Pixels) -> str:
    """Equal for two images, or two masks, exactly where size and values are equal."""
    digest = hashlib.blake2b(f"{pixels.shape[0]}x{pixels.shape[1]}:".encode(), digest_size=HASH_BYTES)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def seen_in(table: SampleTable) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What the files were seen to hold, and how their values became levels.

    Raises:
        UserError: next to nothing of their levels would be left.
    """
    if not isinstance(table.read, FileReader):
        return (), {}
    reader = table.read
    complaint = reader.seen.complaint(reader.rules)
    if complaint:
        raise UserError(f"{table.source}: {complaint}")
    lines = (*reader.seen.lines(reader.rules), *reader.masks_said)
    return ((f"{'. '.join(lines)}.",) if lines else ()), reader.settled()
