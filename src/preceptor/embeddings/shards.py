"""A shard: what one network says at one tap of some images in one view.

A file of raw records of equal size, one an image, from its first byte on, so that other programs can map it as one
array; behind them an index with the image's key and the checksum of each, and last of all the index's length and hash.
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

from preceptor.embeddings.keys import KEY_BYTES, Keys, as_keys
from preceptor.files import sync_folder

ITEM_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_TRAILER = struct.Struct("<Q16s8s")  # bytes of the index, its hash, the mark
_MARK = b"teacher2"
_KEY = f"S{KEY_BYTES}"
_PART = ".shard.part"

SHARD_BYTES = 256 * 2**20
"""At this size a shard is finished, so that little is lost by a kill."""

Bytes = NDArray[np.uint8]


class DamagedShardError(Exception):
    """A shard is not as it was written."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path, self.what = path, what


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
        keys: (n,) key of each record's image.
        records_end: bytes of the records.

    Raises:
        DamagedShardError: cut short or changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        about, self.keys, self._checks = self._index()
        self.view: int = about["view"]
        self.tap: str = about["tap"]
        self.form = Form(tuple(about["shape"]), about["dtype"], about["stored"], about["channels_last"])
        if len(self.keys) * self.form.record_bytes != self.records_end:
            raise DamagedShardError(path, f"its size is not that of {len(self.keys)} records")

    def _index(self) -> tuple[dict[str, Any], Keys, NDArray[np.uint32]]:
        self.records_end, length, digest = _parts(self.path, self._descriptor)
        index = os.pread(self._descriptor, length, self.records_end)
        if blake2b(index, digest_size=16).digest() != digest:
            raise DamagedShardError(self.path, "its index is damaged")
        text, _, numbers = index.partition(b"\0")
        about: dict[str, Any] = json.loads(text)
        count = about["count"]
        keys = as_keys(np.frombuffer(numbers, dtype=np.uint8, count=KEY_BYTES * count).reshape(-1, KEY_BYTES))
        return about, keys, np.frombuffer(numbers, dtype="<u4", offset=KEY_BYTES * count)

    def read(self, places: NDArray[np.int64], out: Bytes, into: NDArray[np.int64]) -> None:
        """Copy the records at ``places`` to the rows ``into`` of ``out`` (N, record bytes).

        Raises:
            DamagedShardError: a record is not what was written.
        """
        size = self.form.record_bytes
        for place, to in zip(places.tolist(), into.tolist(), strict=True):
            record = out[to].data
            if os.preadv(self._descriptor, [record], place * size) != size or zlib.crc32(record) != self._checks[place]:
                raise DamagedShardError(self.path, f"record {place} is damaged")


def _parts(path: Path, descriptor: int) -> tuple[int, int, bytes]:
    """Bytes of the records and of the index, and the index's hash."""
    size = os.fstat(descriptor).st_size
    if size < _TRAILER.size:
        raise DamagedShardError(path, "is cut short")
    length, digest, mark = _TRAILER.unpack(os.pread(descriptor, _TRAILER.size, size - _TRAILER.size))
    if mark != _MARK or length > size - _TRAILER.size:
        raise DamagedShardError(path, "is cut short")
    return size - _TRAILER.size - length, length, digest


class ShardWriter:
    """A shard in the making. The system holds a lock on its file for as long as this process lives."""

    def __init__(self, folder: Path, view: int, tap: str, form: Form) -> None:
        self.view, self.tap, self.form = view, tap, form
        self._folder = folder
        self._part = folder / f".{uuid.uuid4().hex}{_PART}"
        self._file = _locked(self._part)
        self._keys: list[bytes] = []
        self._checks: list[int] = []

    @property
    def bytes(self) -> int:
        """What is in it so far."""
        return len(self._keys) * self.form.record_bytes

    def add(self, keys: Keys, records: Bytes) -> None:
        """Append ``records`` (n, record bytes) of the images with these ``keys``."""
        assert records.shape == (len(keys), self.form.record_bytes), (records.shape, self.form)
        self._file.write(records.data)
        self._keys += keys.tolist()
        self._checks += [zlib.crc32(record.data) for record in records]

    def finish(self) -> Path:
        """Put the shard in place."""
        index = index_of(self.view, self.tap, self.form, np.array(self._keys, dtype=_KEY), self._checks)
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


def index_of(view: int, tap: str, form: Form, keys: Keys, checks: Sequence[int]) -> bytes:
    """What stands behind the records: what they are, the key of each image, and each record's checksum."""
    about = {"view": view, "tap": tap, "count": len(keys), **asdict(form)}
    return json.dumps(about).encode() + b"\0" + keys.tobytes() + np.array(checks, dtype="<u4").tobytes()


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
