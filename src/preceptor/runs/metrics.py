"""``metrics.csv``: appended to while training, cut back to a checkpoint, and verified against it."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from preceptor.errors import DamagedFileError
from preceptor.sealed import CHANGED

HEADER = "stage,epoch,network,split,metric,value\n"


class MetricsLog:
    """The table with the SHA-256 of all that was appended, which grows with it.

    Attributes:
        size: bytes that are known to be right.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """SHA-256 of the first ``size`` bytes."""
        return self._hash.hexdigest()

    def goes_on_from(self, size: int, digest: str) -> None:
        """Take the first ``size`` bytes of the file as what was measured so far.

        Args:
            digest: their SHA-256; empty where an older version kept none.

        Raises:
            DamagedFileError: the file is gone, cut short or changed.
        """
        remedy = f"Bring the file back, or delete {self.path.parent} and train it again."
        if not self.path.exists() and size:
            raise DamagedFileError(self.path, "is missing, and the checkpoint knows that it was there", remedy)
        content = b""
        if size:
            with self.path.open("rb") as file:
                content = file.read(size)
        if len(content) < size:
            raise DamagedFileError(
                self.path, f"was cut short: it has {len(content)} bytes, the checkpoint knows of {size}", remedy
            )
        found = hashlib.sha256(content)
        if digest and found.hexdigest() != digest:
            raise DamagedFileError(self.path, CHANGED, remedy)
        self.size, self._hash = size, found

    def cut(self) -> None:
        """Drop what a killed process appended after its last checkpoint."""
        if self.path.exists() and self.path.stat().st_size > self.size:
            os.truncate(self.path, self.size)

    def append(self, rows: Iterable[tuple[str, int, str, str, str, float]]) -> None:
        """Add rows: stage, epoch, network, split, metric, value."""
        text = "".join(f"{','.join(map(str, row[:5]))},{row[5]:.9g}\n" for row in rows)
        self.append_text(text if self.size else HEADER + text)

    def append_text(self, text: str) -> None:
        """Add whole lines."""
        content = text.encode()
        with self.path.open("ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self.size += len(content)
        self._hash.update(content)
