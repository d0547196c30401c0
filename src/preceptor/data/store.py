"""Packed images: decoded once, kept as raw bytes on disk, read without decoding ever after.

A packed set is a folder with ``images.u8`` (N, H, W, channels), or ``images.u16``, and for masks ``masks.u8``
(N, H, W), the table in ``table.npz``, ``sums.npz`` with a checksum of every row, ``stamps.npz`` about the source
files and ``meta.json``. It is written under another name and renamed when complete, so a folder that bears the name
is whole; one that was damaged since is packed anew, which is said. A set that matches is served from a folder that
cannot be written.
"""

import errno
import shutil
import uuid
import zlib
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from preceptor.data.ahead import in_order
from preceptor.data.cache import NotWritableError, locked
from preceptor.data.decoded import pixel_hash, read_row, seen_in
from preceptor.data.fingerprint import (
    content_key,
    digests,
    request_key,
    save_stamps,
    saved_root,
    source_files,
    still_match,
)
from preceptor.data.images import FileReader
from preceptor.data.masks.presence import Presence, pixels_by_value
from preceptor.data.packed import (
    ABOUT,
    FORMAT,
    READING,
    PackedSet,
    add_sums,
    images_name,
    open_packed,
    save_about,
    save_sums,
    save_table,
)
from preceptor.data.packing import BORDER, Packing, PackingProgress
from preceptor.data.resize import ResizeRule, rules_of, to_network_size
from preceptor.data.rows import ANEW, Checksums
from preceptor.data.samples import KNOWN, Pixels, SampleTable, is_known
from preceptor.data.tiles import cut
from preceptor.errors import DamagedFileError, UserError
from preceptor.files import sync_folder, synced
from preceptor.notes import Note, note_aside
from preceptor.specs import Colour, TileSpec

__all__ = ["Note", "PackedSet", "open_packed", "pack"]

Piece = tuple[int, int, Pixels, Pixels | None]  # y, x, image, mask
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_WRITING = (errno.EROFS, errno.EACCES, errno.EPERM)


def pack(
    table: SampleTable,
    *,
    size: tuple[int, int],
    resize: ResizeRule = "squash",
    padding: Colour = (0, 0, 0),
    tile: TileSpec | None = None,
    folder: Path,
    workers: int = 2,
    progress: PackingProgress = lambda done, total: None,
    note: Note = note_aside,
) -> PackedSet:
    """The packed form of ``table``, made now or, if it still matches its source files, reused.

    Args:
        table: what to pack; ``table.read`` is called from several threads at once.
        size: (height, width) of a packed image.
        resize: what happens to images of another size.
        padding: the colour around images that ``resize: pad`` fills up.
        tile: cut images into tiles of their own resolution instead; ``size`` and ``resize`` then do not
            apply. A tile keeps its image's label, split and group, and where there is no group the
            image becomes one: tiles of one image must never come on two sides of a split.
        folder: the cache; the packed set gets a folder in it, named by what it holds.
        workers: threads that decode; changes nothing but the time.
        progress: called with (images done, images in all).
        note: says a line to the user: that a packed set was damaged, or is from before there were checksums.

    Raises:
        UserError: an unreadable file, a mask of another size than its image or with unknown values, two
            samples with one id, no space or no permission to write what is not there yet.
    """
    if not len(table):
        raise UserError(f"{table.source}: there is no image to pack.")
    if not table.frame["id"].is_unique:
        twice = table.frame["id"][table.frame["id"].duplicated()].iloc[0]
        raise UserError(f"{table.source}: the id {twice!r} occurs more than once. Ids must be unique.")
    height, width = (tile.size, tile.size) if tile else size
    rules: dict[str, object] = {"size": (height, width), "format": FORMAT}
    rules |= {"tile": tile.model_dump()} if tile else rules_of(resize, padding)
    rules |= {"channels": table.channels} if table.channels != 3 else {}  # sets from before there was a choice lack it
    rules |= {"depth": table.depth} if table.depth != 8 else {}
    rules |= {"ignores": True} if table.ignores else {}
    rules |= BORDER if table.task == "segmentation" and resize == "pad" and not tile else {}
    files = source_files(table)
    request = request_key(table, files, rules)
    job = Packing(table, (height, width), resize, padding, tile, files, request, rules, workers, progress, note)

    found, damaged = _find(folder, job)
    if found is not None and found.is_sealed:
        return found
    try:
        with locked(folder, job.name) as is_alone:
            return _find_or_build(folder, job, is_alone=is_alone)
    except NotWritableError as error:
        if found is None:
            raise UserError(
                f"{folder}: cannot keep packed images here: {error}.\n"
                f"It holds no sound packed set of these images{_why(damaged)}. Set data.cache to a "
                "folder that can be written."
            ) from error
        note(f"{_UNVERIFIED.format(found.folder)}; it gets no checksums, for {folder} cannot be written: {error}")
        return found


def _find_or_build(folder: Path, job: "Packing", *, is_alone: bool) -> PackedSet:
    """With the lock held: what is there by now, sealed, or else packed now."""
    found, damaged = _find(folder, job)
    if found is not None and not found.is_sealed:
        try:
            sealed = add_sums(found)
        except DamagedFileError as error:
            damaged.append(error)
        except OSError as error:
            if error.errno not in (*_NO_WRITING, *_NO_SPACE):
                raise
            raise NotWritableError(error.strerror) from error
        else:
            job.note(f"{_UNVERIFIED.format(found.folder)}; from now on it is compared with what it holds today")
            return sealed
    elif found is not None:
        return found
    for one in damaged:
        job.note(f"{one.path}: {one.reason}; the images are packed anew")
    if is_alone:
        for leftover in folder.glob(f".{job.name}-*.part"):
            shutil.rmtree(leftover, ignore_errors=True)
    return _build(folder, job)


_AS_BACKGROUND = "is of a version that took what tiles add around an image for background"
_OTHERWISE = "is of a version that read some kinds of image files otherwise"
_UNVERIFIED = "{}: packed by a version without checksums and not verified"


def _why(damaged: list[DamagedFileError]) -> str:
    return f" ({'; '.join(f'{one.path} {one.reason}' for one in damaged)})" if damaged else ""


def _find(folder: Path, job: Packing) -> tuple[PackedSet | None, list[DamagedFileError]]:
    """The packed set of these images, and what is wrong with others that would have been it."""
    damaged = []
    for candidate in sorted(folder.glob(f"{job.name}-*")):
        try:
            packed = open_packed(candidate)
        except DamagedFileError as error:
            damaged.append(error)
            continue
        except (UserError, OSError):
            if candidate.exists():
                raise
            continue  # another process met damage in it and has just removed it
        is_older = packed.reading < READING and isinstance(job.table.read, FileReader)
        if is_older or (packed.sticks_out and not packed.has_border):
            damaged.append(DamagedFileError(candidate / ABOUT, _OTHERWISE if is_older else _AS_BACKGROUND, ANEW))
            continue
        request = job.request_for(packed.has_border)
        if still_match(candidate, packed.fingerprint, request, job.files, job.workers, job.note):
            return packed, damaged
    return None, damaged


def _build(folder: Path, job: Packing) -> PackedSet:
    table, files = job.table, job.files
    bytes_each = table.channels * table.depth // 8 + (table.task == "segmentation")
    _check_space(folder, needed=len(table) * job.size[0] * job.size[1] * bytes_each)
    part = folder / f".{job.name}-{uuid.uuid4().hex[:8]}.part"
    try:
        part.mkdir()
        presence = Presence()
        columns, sums, has_border = _write_pixels(job, part, presence)
        seen, levels = seen_in(table)
        seen += presence.lines(table.classes)
        hashes = digests(files, range(len(files.names)), job.workers)
        now = source_files(table)
        if not (np.array_equal(now.sizes, files.sizes) and np.array_equal(now.times, files.times)):
            raise UserError(f"{table.source}: files below {files.root} changed while they were read. Try again.")
        fingerprint = content_key(job.request_for(has_border), files, hashes)
        save_table(part / "table.npz", columns)
        save_sums(part, *sums)
        save_stamps(part, files, hashes)
        about: dict[str, object] = {
            "format": FORMAT,
            "source": table.source,
            "task": table.task,
            "classes": table.classes,
            "grouping": table.grouping or ("image" if job.tile else None),
            "notes": (*table.notes, *seen),
            "identity": table.identity,
            "rows": len(columns),
            **job.rules,
            **({**BORDER, "ignores": True} if has_border else {}),
            **({"levels": levels} if levels else {}),
            "reading": READING,
            "fingerprint": fingerprint,
        }
        save_about(part, about)
        sync_folder(part)
        packed = _publish(part, folder / f"{job.name}-{fingerprint[:12]}")
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise UserError(
            f"{folder}: the disk is full; packing {table.source} stopped and its temporary files were removed.\n"
            "Free some space, choose a smaller image_size, or set data.cache to a folder on another disk."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    for stale in folder.glob(f"{job.name}-*"):
        if stale != packed.folder and _came_from(stale, files.root):
            shutil.rmtree(stale, ignore_errors=True)
    return packed


def _publish(part: Path, final: Path) -> PackedSet:
    """Give the complete folder its name; a sound one that is already there wins, another is replaced."""
    try:
        part.rename(final)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        with suppress(DamagedFileError):
            there = open_packed(final)
            if there.is_sealed and there.reading == READING:
                return there
        aside = part.with_name(f"{part.name}.damaged.part")
        final.rename(aside)
        part.rename(final)
        shutil.rmtree(aside, ignore_errors=True)
    sync_folder(final.parent)
    return open_packed(final)


def _came_from(folder: Path, root: str) -> bool:
    try:
        return saved_root(folder) == root
    except DamagedFileError:
        return False


def _write_pixels(
    job: Packing, part: Path, presence: Presence
) -> tuple[pd.DataFrame, tuple[Checksums, Checksums | None], bool]:
    """Decode every row in order and append its pixels to the files.

    Returns:
        The packed table, the rows' checksums, and whether masks have a border that was filled up.
    """
    table, tile = job.table, job.tile
    rows: list[int] = []
    pixels: list[str] = []
    places: list[tuple[int, int, int, int]] = []
    image_sums: list[int] = []
    mask_sums: list[int] = []
    has_border = False
    known = is_known(table.frame)

    def decode(row: int) -> tuple[str, tuple[int, int], list[Piece]]:
        image, mask = read_row(table, row)
        if tile:
            pieces = cut(image, mask, tile.size, tile.overlap)
        else:
            pieces = [(0, 0, *to_network_size(image, mask, job.size, job.rule, job.padding))]
        return pixel_hash(image), (image.shape[0], image.shape[1]), pieces

    with ExitStack() as stack:
        images = stack.enter_context(synced(part / images_name(table.depth)))
        masks = stack.enter_context(synced(part / "masks.u8")) if table.task == "segmentation" else None
        for row, (content, (height, width), pieces) in enumerate(in_order(decode, range(len(table)), job.workers)):
            has_border |= table.task == "segmentation" and job.fills_up((height, width))
            for y, x, image, mask in pieces:
                image_sums.append(_append(images, image))
                if masks is not None and mask is not None:
                    if known[row]:
                        presence.add(pixels_by_value(mask))
                    mask_sums.append(_append(masks, mask))
                rows.append(row)
                pixels.append(content)
                places.append((y, x, height, width))
            job.progress(row + 1, len(table))

    frame = table.frame[["id", "label", "group", "split"]].iloc[rows].reset_index(drop=True)
    frame = frame.astype({"id": object, "group": object, "split": object}).where(frame.notna(), None)
    frame["label"] = table.frame["label"].to_numpy(dtype=np.int64)[rows]
    if not known.all() and table.task == "segmentation":
        frame[KNOWN] = known[rows]
    frame["pixels"] = pd.Series(pixels, dtype=object)
    if tile:
        parent = frame["id"]
        frame["parent"] = parent
        frame[["y", "x", "height", "width"]] = np.array(places, dtype=np.int64)
        frame["id"] = parent + "@" + frame["y"].astype(str) + "," + frame["x"].astype(str)
        frame["group"] = frame["group"].where(frame["group"].notna(), parent)
    of_masks = np.array(mask_sums, dtype=np.uint32) if table.task == "segmentation" else None
    return frame, (np.array(image_sums, dtype=np.uint32), of_masks), has_border


def _append(file: BinaryIO, pixels: Pixels) -> int:
    """Write pixels; their CRC-32."""
    content = np.ascontiguousarray(pixels)
    file.write(content.data)
    return zlib.crc32(content.data)


def _check_space(folder: Path, *, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder}: the packed images need {needed / 1e6:,.1f} MB, the disk has {free / 1e6:,.1f} MB free.\n"
            "Free some space, choose a smaller image_size, or set data.cache to a folder on another disk."
        )
