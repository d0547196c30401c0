"""Data sets in HDF5 files, looked at before anything is read.

An HDF5 file can point into any other file (external storage, links, virtual data sets) and claim any shape. Only
what lies in the file itself is read, and only where the file holds all of it.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from preceptor.errors import UserError
from preceptor.opening import require_file
from preceptor.quoting import quoted, shown

MOST_EXPANSION = 1_100
"""Times that stored bytes may grow when unpacked: deflate, HDF5's own compression, ends at 1,032."""
MOST_BLOCK = 1 << 30
"""Bytes of one block, which is unpacked as a whole."""


def open_dataset(path: str | Path, name: str, source: str) -> Any:
    """The data set ``name`` of an HDF5 file, open for reading; ``.file.close()`` closes it.

    Args:
        path: the file.
        name: of the data set, in the file's root.
        source: that wants it, for messages.

    Raises:
        UserError: no HDF5 file or a damaged one; no such data set, or a group or a link in its place; pixels kept in
            other files; a shape that the file cannot hold.
    """
    import h5py

    require_file(path, f"{source}: file")
    try:
        file = h5py.File(path, "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{source}: {quoted(path)} is damaged or no HDF5 file: {shown(error)}") from None
    try:
        return _checked(file, name)
    except _UnfitError as error:
        file.close()
        raise UserError(f"{source}: {quoted(path)}: {error}") from None
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        file.close()
        raise UserError(f"{source}: {quoted(path)}: the data set {name} is damaged: {shown(error)}") from None


@contextmanager
def dataset(path: str | Path, name: str, source: str) -> Iterator[Any]:
    """:func:`open_dataset`, closed with the block."""
    found = open_dataset(path, name, source)
    try:
        yield found
    finally:
        found.file.close()


class _UnfitError(Exception):
    """Why a data set is not read."""


def _checked(file: Any, name: str) -> Any:
    import h5py

    if name not in file.keys():  # noqa: SIM118  # `in file` follows links, into other files too
        raise _UnfitError(f"it has no data set {name}, but {', '.join(shown(key, 60) for key in file) or 'nothing'}")
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise _UnfitError(f"{name} is a link, perhaps into another file, in place of a data set; such are not followed")
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise _UnfitError(f"{name} is a group in place of a data set")
    if found.external is not None or found.is_virtual:
        raise _UnfitError(f"the values of {name} are kept in other files; only what is in the file itself is read")
    if found.shape is None or found.dtype.kind not in "buif":
        raise _UnfitError(f"{name} holds {shown(found.dtype, 60)} of shape {found.shape}, numbers were expected")
    _require_stored(found, name, file)
    return found


def _require_stored(found: Any, name: str, file: Any) -> None:
    """Refuse a shape of which the file holds a part only, or that would unpack to absurd sizes."""
    claimed = math.prod(found.shape) * found.dtype.itemsize
    stored = found.id.get_storage_size()
    size = file.id.get_filesize()
    what = f"{name} claims the shape {found.shape}, {claimed:,} bytes"
    if stored > size:
        raise _UnfitError(f"{what}, of which {stored:,} are stored, in a file of {size:,}")
    if found.chunks is None:
        if claimed > stored:
            raise _UnfitError(f"{what}, but only {stored:,} are stored")
        return
    block = math.prod(found.chunks) * found.dtype.itemsize
    if block > MOST_BLOCK:
        raise _UnfitError(
            f"{name} is stored in blocks of {block:,} bytes, more than the {MOST_BLOCK:,} that are unpacked"
        )
    wanted = math.prod(math.ceil(side / part) for side, part in zip(found.shape, found.chunks, strict=True))
    held = found.id.get_num_chunks()
    if held < wanted:
        raise _UnfitError(f"{what} in {wanted:,} blocks, but only {held:,} blocks are stored")
    if claimed > MOST_EXPANSION * stored:
        raise _UnfitError(f"{what}, more than {MOST_EXPANSION:,} times the {stored:,} that are stored")
