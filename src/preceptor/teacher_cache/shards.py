"""A shard: what one network says at one tap of some images in one view.

A file of raw records of equal size, one an image, from its first byte on, so that other programs can map it as one
array; behind them an index with the packed row and the checksum of each, and last of all the index's length and hash.
It is written under another name and renamed when whole; its name says what is in it, so two processes that compute the
same shard put equal files in each other's place.

Records are copied out of the file rather than read through a memory map: the memory of a process does not grow with
what it has read, and a file cut short is an error, not the death of the process.
"""

import fcntl
import json
import math
import os
import struct
import uuid
import weakref
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from preceptor.data.order import RowNumbers
from preceptor.files import sync_folder

ITEM_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_TRAILER = struct.Struct("<Q16s8s")  # bytes of the index, its hash, the mark
_MARK = b"teacher1"
_PART = ".shard.part"

Bytes = NDArray[np.uint8]


class DamagedShardError(Exception):
    """A shard is not as it was written."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a record is.

    Args:
        shape: of one image's tensor.
        dtype: as it was computed, by its name in torch.
        stored: as it is in the file.
        channels_last: a (C, H, W) tensor lies in memory as (H, W, C).
    """

    shape: tuple[int, ...]
    dtype: str
    stored: str
    channels_last: bool = False

    @property
    def record_bytes(self) -> int:
        """Bytes of one image."""
        return math.prod(self.shape) * ITEM_BYTES[self.stored]


class Shard:
    """A whole shard, open for reading.

    Attributes:
        view, tap, form: what is in it.
        rows: (n,) packed row of each record.
        records_end: bytes of the records.

    Raises:
        DamagedError: cut short or changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        about, self.rows, self._checks = self._index()
        self.view: int = about["view"]
        self.tap: str = about["tap"]
        self.form = Form(tuple(about["shape"]), about["dtype"], about["stored"], about["channels_last"])
        if len(self.rows) * self.form.record_bytes != self.records_end:
            raise DamagedShardError(f"{path}: its size is not that of {len(self.rows)} records")

    def _index(self) -> tuple[dict[str, Any], RowNumbers, NDArray[np.uint32]]:
        self.records_end, length, digest = _parts(self.path, self._descriptor)
        index = os.pread(self._descriptor, length, self.records_end)
        if blake2b(index, digest_size=16).digest() != digest:
            raise DamagedShardError(f"{self.path}: its index is damaged")
        text, _, numbers = index.partition(b"\0")
        about: dict[str, Any] = json.loads(text)
        count = about["count"]
        rows = np.frombuffer(numbers, dtype="<i8", count=count)
        return about, rows, np.frombuffer(numbers, dtype="<u4", offset=8 * count)

    def read(self, places: NDArray[np.int64], out: Bytes, into: NDArray[np.int64]) -> None:
        """Copy the records at ``places`` to the rows ``into`` of ``out`` (N, record bytes).

        Raises:
            DamagedError: a record is not what was written.
        """
        size = self.form.record_bytes
        for place, to in zip(places.tolist(), into.tolist(), strict=True):
            record = out[to].data
            if os.preadv(self._descriptor, [record], place * size) != size or zlib.crc32(record) != self._checks[place]:
                raise DamagedShardError(f"{self.path}: record {place} is damaged")


def _parts(path: Path, descriptor: int) -> tuple[int, int, bytes]:
    """Bytes of the records and of the index, and the index's hash."""
    size = os.fstat(descriptor).st_size
    if size < _TRAILER.size:
        raise DamagedShardError(f"{path}: is cut short")
    length, digest, mark = _TRAILER.unpack(os.pread(descriptor, _TRAILER.size, size - _TRAILER.size))
    if mark != _MARK or length > size - _TRAILER.size:
        raise DamagedShardError(f"{path}: is cut short")
    return size - _TRAILER.size - length, length, digest


class ShardWriter:
    """A shard in the making. The system holds a lock on its file for as long as this process lives."""

    def __init__(self, folder: Path, view: int, tap: str, form: Form) -> None:
        self.view, self.tap, self.form = view, tap, form
        self._folder = folder
        self._part = folder / f".{uuid.uuid4().hex}{_PART}"
        self._file = _locked(self._part)
        self._rows: list[int] = []
        self._checks: list[int] = []

    @property
    def bytes(self) -> int:
        """What is in it so far."""
        return len(self._rows) * self.form.record_bytes

    def add(self, rows: RowNumbers, records: Bytes) -> None:
        """Append ``records`` (n, record bytes) of these packed ``rows``."""
        assert records.shape == (len(rows), self.form.record_bytes), (records.shape, self.form)
        self._file.write(records.data)
        self._rows += rows.tolist()
        self._checks += [zlib.crc32(record.data) for record in records]

    def finish(self) -> Path:
        """Put the shard in place."""
        about = {"view": self.view, "tap": self.tap, "count": len(self._rows), **asdict(self.form)}
        numbers = np.array(self._rows, dtype="<i8").tobytes() + np.array(self._checks, dtype="<u4").tobytes()
        index = json.dumps(about).encode() + b"\0" + numbers
        digest = blake2b(index, digest_size=16).digest()
        path = self._folder / shard_name(self.view, self.tap, digest)
        try:
            self._file.write(index + _TRAILER.pack(len(index), digest, _MARK))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._part.replace(path)
        finally:
            self.drop()
        sync_folder(self._folder)
        return path

    def drop(self) -> None:
        """Leave nothing behind."""
        self._part.unlink(missing_ok=True)
        self._file.close()


def _locked(path: Path) -> BinaryIO:
    """A new file at ``path``, locked by this process."""
    while True:
        file = path.open("xb")
        with suppress(OSError):  # without locks, leftovers stay until their folder is removed
            fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists():
            return file
        file.close()  # it was swept away before it was locked


def shard_name(view: int, tap: str, digest: bytes) -> str:
    """``view-00003.last.0123456789abcdef.shard``."""
    return f"view-{view:05d}.{quote(tap, safe='')}.{digest[:8].hex()}.shard"


def view_of(path: Path) -> int:
    """The view that a shard's name says."""
    return int(path.name.split(".", 1)[0].removeprefix("view-"))


def tap_of(path: Path) -> str:
    """The tap that a shard's name says."""
    return unquote(path.name.split(".", 1)[1].rsplit(".", 2)[0])


def shards_of(folder: Path, view: int | None = None) -> list[Path]:
    """The shards in ``folder``, of all views or one, in an order of their own."""
    return sorted(folder.glob(f"view-{'*' if view is None else f'{view:05d}'}.*.shard"))


def bytes_in(folder: Path, view: int, taps: Sequence[str]) -> int:
    """Bytes of the records of ``taps`` in the shards of ``view``, their indices left out."""
    total = 0
    for path in shards_of(folder, view):
        if tap_of(path) in taps:
            with suppress(OSError, DamagedShardError), path.open("rb") as file:
                total += _parts(path, file.fileno())[0]
    return total


def sweep(folder: Path) -> int:
    """Remove shards that dead processes left unfinished; how many there were."""
    swept = 0
    for part in folder.glob(f".*{_PART}"):
        try:
            with part.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its writer lives
                part.unlink(missing_ok=True)
                swept += 1
        except OSError:
            continue
    return swept
