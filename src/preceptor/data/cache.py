"""The folder that packed sets are kept in: who writes there, and how a damaged set leaves it."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from preceptor.data.rows import DamagedRowError
from preceptor.errors import DamagedFileError
from preceptor.files import file_lock


class NotWritableError(Exception):
    """The cache cannot be written, and why."""


@contextmanager
def locked(folder: Path, name: str) -> Iterator[bool]:
    """Keep other processes from packing ``name`` in the cache ``folder``; False where the file system knows no locks.

    Raises:
        NotWritableError: the folder cannot be made or written.
    """
    with ExitStack() as stack:
        try:  # asking for permission would not do: root has it on a read-only disk too
            folder.mkdir(parents=True, exist_ok=True)
            is_alone = stack.enter_context(file_lock(folder / f"{name}.lock"))
        except OSError as error:
            raise NotWritableError(error.strerror) from error
        yield is_alone


def discard(damaged: DamagedRowError) -> None:
    """Remove the packed set with this row, unless another process has packed it anew already.

    Who has it open keeps it.

    Raises:
        DamagedFileError: the cache cannot be written.
    """
    folder = damaged.path.parent
    try:
        with locked(folder.parent, folder.name.rpartition("-")[0]):
            if damaged.path.exists() and damaged.path.stat().st_ino == damaged.inode:
                aside = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}.part")
                folder.rename(aside)
                shutil.rmtree(aside, ignore_errors=True)
    except (NotWritableError, OSError) as error:
        raise DamagedFileError(
            damaged.path,
            f"{damaged.reason}, and cannot be replaced: {error}",
            "Make the cache writable for one run, which packs these images anew, or set data.cache to another folder.",
        ) from error
