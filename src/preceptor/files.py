"""Paths as users write them, and files of which nothing is ever half new: temporary name, sync, rename."""

import errno
import fcntl
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from preceptor.errors import UserError


def expand(path: str) -> Path:
    """``path`` with ``~`` and ``$NAME`` or ``${NAME}`` filled in.

    Raises:
        UserError: a variable that is not set.
    """
    for name in re.findall(r"\$\{(\w+)\}|\$(\w+)", path):
        variable = name[0] or name[1]
        if variable not in os.environ:
            raise UserError(
                f"path {path!r}: the environment variable {variable} is not set; "
                f"set it, for example: export {variable}=/path/to/it"
            )
    return Path(os.path.expandvars(path)).expanduser()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it becomes ``path``, on failure it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if error.errno:  # the system names no file, or the temporary one
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as readable JSON, atomically. NaN is refused: it is no JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def cache_root(given: str | None = None) -> Path:
    """Where things are kept that can be made again: ``given``, else ``$PRECEPTOR_CACHE``, else the user's cache."""
    return expand(given or os.environ.get("PRECEPTOR_CACHE") or "~/.cache/preceptor")


def write_with(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary path, then put it in place."""
    with replacing(path) as temporary:
        write(temporary)


def sync_folder(folder: Path) -> None:
    """Put the folder's list of names on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def synced(path: Path) -> Iterator[BinaryIO]:
    """A new file to write to, on the disk when the block ends."""
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock ``path``, waiting for other processes; False where the file system knows no locks.

    The operating system drops the lock when its holder dies, so none is ever left behind. A file that is there keeps
    its content.

    Raises:
        BlockingIOError: another process holds it and ``wait`` is False.
        UserError: ``path`` is a link or no plain file.
    """
    with _open_lock(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError:
            yield False
        else:
            yield True


def _open_lock(path: Path) -> BinaryIO:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError(f"{path} is a link; it should be a lock that preceptor makes. Remove it.") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UserError(f"{path} is no plain file; it should be a lock that preceptor makes. Remove it.")
    return open(descriptor, "r+b")
