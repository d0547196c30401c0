"""A folder of embeddings, opened for reading. Needs numpy alone.

``embeddings.json`` says of which network they are, what a record is and which shards there are, and bears its own
SHA-256; the shards (:mod:`preceptor.embeddings.shards`) hold one record an image, in the order of ``files.csv``, which
names the images and, of those that could not be read, why. A shard's name holds the hash of its index, the index the
checksum of every record and the hash of every image's pixels, by which training finds an image wherever it lies. Of
grids that are told along principal axes ``pca.npz`` has the axes.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from preceptor.embeddings.keys import Keys
from preceptor.embeddings.records import Records
from preceptor.embeddings.shards import Bytes, DamagedShardError, Form, Shard
from preceptor.errors import DamagedFileError, UserError
from preceptor.sealed import file_sha256, read_sealed

ABOUT, FILES, AXES = "embeddings.json", "files.csv", "pca.npz"
FORMAT = 2
REMEDY = "Delete the folder and make the embeddings anew with `preceptor embed`."

Rows = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Embeddings:
    """The embeddings in a folder that ``preceptor embed`` has finished.

    ``embeddings[rows]`` are the records of these images, as they are stored; ``len`` is how many images there are.

    Args:
        tap: of the network, which they are: its ``embedding``, or its ``last`` map.
        form: of a record.
        shards: in the order of the images.
        facts: everything that they depend on beside the images: ``network``, ``pixels``, ``arithmetic``, ``dtype``.
        about: all that ``embeddings.json`` says.
    """

    folder: Path
    tap: str
    form: Form
    shards: tuple[Shard, ...] = field(repr=False)
    facts: Mapping[str, Any] = field(repr=False)
    about: Mapping[str, Any] = field(repr=False)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """The embeddings in ``folder``. The shards' indices are read and verified, no record is: see :meth:`verify`.

        Raises:
            UserError: the folder holds none, or they are not finished.
            DamagedFileError: a file is missing, cut short or not what was written.
        """
        folder = Path(folder)
        try:
            about, is_sealed = read_sealed(folder / ABOUT, REMEDY)
        except FileNotFoundError:
            raise UserError(
                f"{folder} holds no finished embeddings (there is no {ABOUT}); `preceptor embed` makes them, and the "
                "same command again goes on with what it began"
            ) from None
        if not is_sealed or about.get("format") != FORMAT:
            raise DamagedFileError(folder / ABOUT, f"is not of format {FORMAT}", REMEDY)
        shards = tuple(_opened(folder / name) for name in about["shards"])
        form = Form(tuple(about["shape"]), about["dtype"], about["stored"], about["channels_last"])
        return cls(folder, about["tap"], form, shards, about["facts"], about)

    def __len__(self) -> int:
        return sum(len(shard.keys) for shard in self.shards)

    def __getitem__(self, rows: Rows | slice | list[int]) -> NDArray[Any]:
        """(n, …) the records at ``rows``, in their order.

        Raises:
            IndexError: there are fewer images.
            DamagedFileError: a record is not what was written.
        """
        wanted = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows, dtype=np.int64)
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"there are {len(self)} embeddings; asked for {wanted.min()} to {wanted.max()}")
        return self._records_of(self._read(wanted))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one record."""
        return self.form.shape

    @property
    def stored(self) -> str:
        """The type of its values, as numpy calls it."""
        return self.form.stored

    @property
    def maps(self) -> list[NDArray[Any]]:
        """The records of each shard as an array mapped into memory, read only; nothing of it is verified."""
        return [
            self._records_of(
                np.memmap(one.path, dtype=np.uint8, mode="r", shape=(len(one.keys), one.form.record_bytes))
            )
            for one in self.shards
        ]

    @cached_property
    def keys(self) -> Keys:
        """(n,) hash of each image's pixels; zeros of those that could not be read."""
        return np.concatenate([shard.keys for shard in self.shards])

    @cached_property
    def files(self) -> list[str]:
        """The name of each image, in order."""
        return [name for name, _ in self._index()]

    @cached_property
    def damaged(self) -> dict[int, str]:
        """Why an image has no embedding, by row; its record is NaN."""
        return {row: error for row, (_, error) in enumerate(self._index()) if error}

    def rows_of(self, names: list[str]) -> NDArray[np.int64]:
        """The row of each of these images.

        Raises:
            UserError: one has no embedding here.
        """
        known = {name: row for row, name in enumerate(self.files)}
        missing = [name for name in names if name not in known]
        if missing:
            raise UserError(
                f"{self.folder}: {len(missing)} of {len(names)} images have no embedding here, such as {missing[0]!r}; "
                f"it knows {len(known)}, such as {self.files[0]!r}"
            )
        return np.array([known[name] for name in names], dtype=np.int64)

    def verify(self) -> None:
        """Read every byte of every file and compare it with what was written.

        Raises:
            DamagedFileError: names the file that changed.
        """
        type(self).open(self.folder)
        for name, sha256 in self.about["files"].items():
            if not (self.folder / name).is_file() or file_sha256(self.folder / name) != sha256:
                raise DamagedFileError(self.folder / name, "is missing or not what was written", REMEDY)
        for first in range(0, len(self), 1024):
            self._read(np.arange(first, min(first + 1024, len(self))))

    @cached_property
    def _kept(self) -> Records:
        kept, end = Records(len(self)), 0
        for shard in self.shards:
            kept.take(shard, np.arange(end, end + len(shard.keys)))
            end += len(shard.keys)
        return kept

    def _read(self, rows: NDArray[np.int64]) -> Bytes:
        found = np.empty((len(rows), self.form.record_bytes), dtype=np.uint8)
        try:
            self._kept.read(rows, found)
        except DamagedShardError as error:
            raise DamagedFileError(error.path, error.what, REMEDY) from error
        return found

    def _records_of(self, found: Bytes) -> NDArray[Any]:
        flat = found.view(self.stored)
        if self.form.channels_last:
            channels, height, width = self.shape
            return flat.reshape(len(found), height, width, channels).transpose(0, 3, 1, 2)
        return flat.reshape(len(found), *self.shape)

    def _index(self) -> Iterator[tuple[str, str]]:
        with (self.folder / FILES).open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                yield row["file"], row["error"]


def _opened(path: Path) -> Shard:
    try:
        return Shard(path)
    except FileNotFoundError:
        raise DamagedFileError(path, "is missing", REMEDY) from None
    except DamagedShardError as error:
        raise DamagedFileError(path, error.what, REMEDY) from error
