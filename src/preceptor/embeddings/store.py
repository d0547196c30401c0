"""A folder of embeddings, opened for reading. Needs numpy alone.

``embeddings.json`` says of which network they are, how long each is and which shards there are, each with its
SHA-256; ``shard-00000.npy`` … hold one record an image, in the order of ``files.csv``; ``files.csv`` names the images
and, of those that could not be read, why. Every shard is a plain ``.npy`` file that numpy maps into memory.

Records that are asked for are copied out of the files rather than read through a map, so that a process that visits a
million of them in random order holds no more of them than it asked for.
"""

import csv
import hashlib
import os
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from preceptor.errors import DamagedFileError, UserError
from preceptor.sealed import read_sealed

ABOUT, FILES = "embeddings.json", "files.csv"
FORMAT = 1
REMEDY = "Delete the folder and make the embeddings anew with `preceptor embed`."

Records = NDArray[Any]
Rows = NDArray[np.integer[Any]]


def shard_name(number: int) -> str:
    """``shard-00003.npy``."""
    return f"shard-{number:05d}.npy"


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """What ``embeddings.json`` says of one shard.

    Args:
        start: bytes before the first record.
    """

    rows: int
    start: int
    sha256: str


@dataclass(frozen=True)
class Embeddings:
    """The embeddings in a folder that ``preceptor embed`` has finished.

    ``embeddings[rows]`` are the records of these images, as they are stored; ``len`` is how many images there are.

    Args:
        shape: of one record.
        stored: numpy's name of the type of its values.
        facts: of which network, by what, from which images they were made.
    """

    folder: Path
    shape: tuple[int, ...]
    stored: str
    shards: tuple[ShardFacts, ...]
    facts: Mapping[str, Any] = field(repr=False)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """The embeddings in ``folder``. Sizes are looked at and nothing is read: see :meth:`verify`.

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
        shards = tuple(ShardFacts(**one) for one in about["shards"])
        found = cls(folder, tuple(about["shape"]), about["stored"], shards, about["facts"])
        for number, shard in enumerate(shards):
            path = folder / shard_name(number)
            wanted = shard.start + shard.rows * found.record_bytes
            if not path.is_file() or path.stat().st_size != wanted:
                raise DamagedFileError(path, f"is missing or does not have {wanted:,} bytes", REMEDY)
        return found

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, rows: Rows | slice | list[int]) -> Records:
        """(n, …) the records at ``rows``, in their order.

        Raises:
            IndexError: there are fewer images.
        """
        wanted = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows, dtype=np.int64)
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"there are {len(self)} embeddings; asked for {wanted.min()} to {wanted.max()}")
        found = np.empty((len(wanted), self.record_bytes), dtype=np.uint8)
        at = np.searchsorted(self._ends, wanted, side="right")
        for place, (shard, row) in enumerate(zip(at.tolist(), wanted.tolist(), strict=True)):
            first = row - (int(self._ends[shard - 1]) if shard else 0)
            offset = self.shards[shard].start + first * self.record_bytes
            if os.preadv(self._descriptors[shard], [found[place].data], offset) != self.record_bytes:
                raise DamagedFileError(self.folder / shard_name(shard), "was cut short", REMEDY)
        return found.view(self.stored).reshape(len(wanted), *self.shape)

    @property
    def record_bytes(self) -> int:
        """Bytes of one image."""
        return int(np.prod(self.shape)) * np.dtype(self.stored).itemsize

    @property
    def maps(self) -> list[Records]:
        """Each shard as an array mapped into memory, read only."""
        paths = [self.folder / shard_name(number) for number in range(len(self.shards))]
        return [np.load(path, mmap_mode="r") for path in paths]

    @cached_property
    def files(self) -> list[str]:
        """The name of each image, in order."""
        return [name for name, _ in self._index()]

    @cached_property
    def damaged(self) -> dict[int, str]:
        """Why an image has no embedding, by row; its record is NaN (0 of whole numbers)."""
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
        """Read every byte and compare it with what was written.

        Raises:
            DamagedFileError: names the file that changed.
        """
        for number, shard in enumerate(self.shards):
            path = self.folder / shard_name(number)
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != shard.sha256:
                    raise DamagedFileError(path, "is not what was written", REMEDY)

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum([shard.rows for shard in self.shards], dtype=np.int64)

    @cached_property
    def _descriptors(self) -> list[int]:
        opened = []
        for number in range(len(self.shards)):
            descriptor = os.open(self.folder / shard_name(number), os.O_RDONLY | os.O_CLOEXEC)
            weakref.finalize(self, os.close, descriptor)
            opened.append(descriptor)
        return opened

    def _index(self) -> Iterator[tuple[str, str]]:
        with (self.folder / FILES).open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                yield row["file"], row["error"]
