"""Rows of raw bytes on disk, each compared with its checksum whenever it is read.

A CRC-32 notices every single flipped bit, every burst of up to 32, and of other damage all but one in four thousand
million; a row that stands in another's place has another's sum. It is kept by row, so opening a file of millions reads
none of them. Comparing at every reading, not at the first alone, takes microseconds a row, and notices what happens to
the disk, or to the memory that holds the file, in the weeks that a run may last.
"""

import os
import weakref
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preceptor.data.samples import Pixels
from preceptor.errors import DamagedFileError

ANEW = "The next run on these images packs them anew."
CHANGED = "was changed or damaged after it was written"
_BLOCK = 2**24  # bytes read at a time

Checksums = NDArray[np.uint32]


class DamagedRowError(DamagedFileError):
    """A row is not what was written.

    Attributes:
        inode: of the file: one that has since been packed anew under the same name has another.
    """

    def __init__(self, path: Path, reason: str, inode: int) -> None:
        super().__init__(path, reason, ANEW)
        self.inode = inode

    def __reduce__(self) -> tuple[type["DamagedRowError"], tuple[Path, str, int]]:  # type: ignore[override]
        return type(self), (self.path, self.reason, self.inode)


class PackedRows:
    """Rows of equal size in a file of raw bytes.

    Reading copies out of the file rather than through a memory map, so the memory of a process that
    goes through all rows does not grow with their number. Safe to share between threads.

    Args:
        path: the file.
        shape: (N, …) of the array in it.
        sums: (N,) CRC-32 of each row, or None where there are none to compare with.
        dtype: of the array, in this machine's byte order.

    Raises:
        DamagedFileError: the file has another size.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, ...],
        sums: Checksums | None = None,
        dtype: type[np.unsignedinteger] = np.uint8,
    ) -> None:
        self.path, self.shape, self.dtype = path, shape, np.dtype(dtype)
        self._row_values = int(np.prod(shape[1:]))
        self.row_bytes = self._row_values * self.dtype.itemsize
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        size, wanted = os.fstat(self._descriptor).st_size, shape[0] * self.row_bytes
        if size != wanted:
            raise DamagedFileError(path, f"has {size} bytes, not {wanted}", ANEW)
        self._sums = sums

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | NDArray[np.int64]) -> Pixels:
        """Copies of what ``index`` chooses among the rows, as of an array."""
        chosen = np.asarray(np.arange(len(self))[index])
        return self.read(chosen.reshape(-1)).reshape(*chosen.shape, *self.shape[1:])

    def read(self, rows: NDArray[np.int64], out: Pixels | None = None) -> Pixels:
        """Copies of these ``rows``, (len(rows), …), in ``out`` where given.

        Raises:
            DamagedRowError: a row is not what was written.
        """
        out = np.empty((len(rows), *self.shape[1:]), dtype=self.dtype) if out is None else out
        for place, row in zip(out.reshape(len(rows), self._row_values), rows.tolist(), strict=True):
            if not 0 <= row < self.shape[0]:
                raise IndexError(f"row {row} of {self.shape[0]} packed rows")
            try:
                count = os.preadv(self._descriptor, [place.data], row * self.row_bytes)
            except OSError as error:  # a bad disk; a file that is gone from a server
                raise self._damaged(f"row {row} cannot be read: {error.strerror}") from error
            if count != self.row_bytes:
                raise self._damaged(f"ends before row {row} does")
            if self._sums is not None and zlib.crc32(place.data) != self._sums[row]:
                raise self._damaged(f"row {row} {CHANGED}")
        return out

    def sums(self) -> Checksums:
        """(N,) CRC-32 of each row as it is now; reads the whole file."""
        found = np.empty(len(self), dtype=np.uint32)
        step = max(1, _BLOCK // self.row_bytes)
        for first in range(0, len(self), step):
            block = self.read(np.arange(first, min(first + step, len(self))))
            found[first : first + step] = [zlib.crc32(row.data) for row in block]
        return found

    def _damaged(self, reason: str) -> DamagedRowError:
        return DamagedRowError(self.path, reason, os.fstat(self._descriptor).st_ino)
