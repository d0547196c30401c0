"""Arrays in ``.npz`` files, looked at before anything is read.

What an archive says of itself is not believed: a member that cannot hold the array that it claims, or that would
unpack to absurd sizes, is refused before a byte is allocated. Objects are never unpickled.
"""

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from preceptor.errors import UserError
from preceptor.opening import require_file
from preceptor.quoting import quoted, shown

MOST_EXPANSION = 1_032
"""Times that deflate can shrink bytes."""
_HEADER = 1 << 14  # bytes, which numpy's own headers never reach


@dataclass(frozen=True)
class StoredArray:
    """An array in an archive: a stream that stands at its first value, its shape and type."""

    stream: IO[bytes]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@contextmanager
def _named(path: str | Path, source: str, key: str = "") -> Iterator[None]:
    """Say which file it was, and which array ``key`` of it."""
    where = f" in {shown(key)}" if key else ""
    try:
        yield
    except UserError:
        raise
    except (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{source}: {quoted(path)} is damaged{where or ' or no .npz file'}: {shown(error)}") from None
    except (ValueError, SyntaxError, TypeError, KeyError, struct.error) as error:
        raise UserError(f"{source}: {quoted(path)} is damaged{where}: {shown(error)}") from None


def array_names(path: str | Path, source: str) -> set[str]:
    """The names of the arrays in the archive.

    Raises:
        UserError: no regular file, or no archive.
    """
    require_file(path, f"{source}: file")
    with _named(path, source), zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}


def open_array(path: str | Path, key: str, source: str) -> StoredArray:
    """The array ``key`` of the archive, to be read from its first value on.

    Raises:
        UserError: damaged, an array of objects, stored by columns, or a claim that the file cannot hold.
    """
    require_file(path, f"{source}: file")
    with _named(path, source, key):
        archive = zipfile.ZipFile(path)
        member = archive.getinfo(f"{key}.npy")
        with archive.open(member) as stream:
            head = io.BytesIO(stream.read(_HEADER))
        version = np.lib.format.read_magic(head)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read(head)
        what = f"{source}: {quoted(path)}: {key} claims the shape {shape}, {dtype}"
        if dtype.hasobject:
            raise UserError(
                f"{source}: {quoted(path)}: {key} holds Python objects, which could run code when read; nothing of it "
                "was read. Numbers were expected: save the array as whole numbers"
            )
        if by_columns and len(shape) > 1:
            raise UserError(f"{what}, stored by columns; rows first were expected, as numpy saves by default")
        claimed = head.tell() + math.prod(shape) * dtype.itemsize
        if claimed != member.file_size or min(shape, default=0) < 0:
            raise UserError(f"{what}: {claimed:,} bytes, but {member.file_size:,} are stored; it is damaged or made up")
        if claimed > MOST_EXPANSION * member.compress_size + _HEADER:
            raise UserError(
                f"{what}: {claimed:,} bytes, more than {member.compress_size:,} compressed ones can hold; it is "
                "damaged or made up"
            )
        stream = archive.open(member)
        stream.read(head.tell())
        return StoredArray(stream, shape, dtype)


def read_array(path: str | Path, key: str, source: str) -> NDArray[Any]:
    """The whole array ``key``; its shape should have been looked at before.

    Raises:
        UserError: see :func:`open_array`.
    """
    found = open_array(path, key, source)
    with found.stream, _named(path, source, key):
        wanted = math.prod(found.shape) * found.dtype.itemsize
        data = found.stream.read()
        if len(data) != wanted:
            raise UserError(f"{source}: {quoted(path)} is damaged: {key} ends early")
        return np.frombuffer(data, dtype=found.dtype).reshape(found.shape)
