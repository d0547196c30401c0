"""Knowing whether packed pixels still come from the files they were made of."""

import hashlib
import io
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preceptor.data.ahead import in_order
from preceptor.data.samples import KNOWN, SampleTable
from preceptor.errors import DamagedFileError, UserError
from preceptor.files import synced
from preceptor.notes import Note
from preceptor.sealed import read_zip, sealed_zip

DIGEST_BYTES = 16
_STAMPS = "stamps.npz"


@dataclass(frozen=True)
class Files:
    """Source files: where they are, and size and time of last change of each.

    Args:
        root: the folder all lie below; names are relative to it, so a moved data set keeps its fingerprint.
        names: (M,) paths below ``root``.
        sizes: (M,) bytes.
        times: (M,) time of last change in nanoseconds.
    """

    root: str
    names: tuple[str, ...]
    sizes: NDArray[np.int64]
    times: NDArray[np.int64]

    def path(self, number: int) -> str:
        return self.root + self.names[number]


def source_files(table: SampleTable) -> Files:
    """Every file the table's rows come from, each once, in order of first use.

    Raises:
        UserError: a file that cannot be found or looked at.
    """
    paths = list(dict.fromkeys(_absolute(path) for row in range(len(table)) for path in table.files(row)))
    root = _common_root(paths)
    sizes, times = np.empty(len(paths), dtype=np.int64), np.empty(len(paths), dtype=np.int64)
    for number, path in enumerate(paths):
        try:
            status = os.stat(path)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}. The {table.source} data set needs this file.") from error
        sizes[number], times[number] = status.st_size, status.st_mtime_ns
    return Files(root, tuple(path[len(root) :] for path in paths), sizes, times)


def _absolute(path: str) -> str:
    """``os.path.abspath``, which takes its time, where there is something to do."""
    is_plain = path.startswith(os.sep) and f"{os.sep}." not in path and os.sep * 2 not in path
    return path if is_plain and not path.endswith(os.sep) else os.path.abspath(path)


def _common_root(paths: list[str]) -> str:
    """The longest folder, with its final separator, that all paths lie below."""
    if not paths:
        return ""
    first, last = min(paths), max(paths)  # whatever these two share, all share
    shared = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[: first.rfind(os.sep, 0, shared) + 1]


def digests(files: Files, numbers: Sequence[int], workers: int) -> NDArray[np.uint8]:
    """Content hash of the files with these ``numbers``, (len(numbers), DIGEST_BYTES).

    Raises:
        UserError: a file that cannot be read.
    """
    found = in_order(lambda number: _digest(files.path(number)), numbers, workers)
    return np.frombuffer(b"".join(found), dtype=np.uint8).reshape(-1, DIGEST_BYTES)


def _digest(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).digest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}.") from error


def request_key(table: SampleTable, files: Files, rules: dict[str, object]) -> str:
    """What is to be packed, before looking into any file: the table, the names of its files, the rules."""
    assert files.names or table.identity, "a table needs files or an identity, or its pixels cannot be told apart"
    about = [table.source, table.task, table.classes, table.grouping, table.identity, table.notes, rules]
    frame = table.frame
    named = ("id", "label", "group", "split", *([KNOWN] if KNOWN in frame.columns else []))
    columns = [frame[name].tolist() for name in named]
    return _hash(json.dumps([about, columns, files.names], default=str).encode())


def content_key(request: str, files: Files, hashes: NDArray[np.uint8]) -> str:
    """The fingerprint of packed pixels: the request, and size and content of every file."""
    return _hash(request.encode(), files.sizes.tobytes(), hashes.tobytes())


def save_stamps(folder: Path, files: Files, hashes: NDArray[np.uint8]) -> None:
    """Write what the files looked like into ``folder``, which must be there, all or nothing."""
    buffer = io.BytesIO()
    root = np.frombuffer(files.root.encode(), dtype=np.uint8)
    np.savez(buffer, root=root, sizes=files.sizes, times=files.times, hashes=hashes)
    part = folder / f"stamps.{os.getpid()}.part"
    try:
        with synced(part) as file:
            file.write(sealed_zip(buffer.getbuffer()))
        part.replace(folder / _STAMPS)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def saved_root(folder: Path) -> str:
    """The folder the files lay in when they were packed.

    Raises:
        DamagedFileError: the stamps are not what was written.
    """
    return _read_stamps(folder)[0]


def still_match(folder: Path, fingerprint: str, request: str, files: Files, workers: int, note: Note) -> bool:
    """Whether ``files`` are what was packed in ``folder``.

    Other sizes: no. Same place, sizes and times: yes. Else the files whose time or place differs are
    read and compared by content, and the new times are noted. Stamps that are damaged are made anew.

    Args:
        fingerprint: of the packed set.
        request: :func:`request_key` of what is wanted.
        note: says a line to the user.
    """
    try:
        root, sizes, times, hashes = _read_stamps(folder)
    except DamagedFileError as error:
        note(f"{error.path}: {error.reason}; the source files are read and compared instead")
        hashes = digests(files, range(len(files.names)), workers)
    else:
        if not np.array_equal(sizes, files.sizes):
            return False
        doubtful = np.flatnonzero((times != files.times) | (root != files.root))
        if not len(doubtful):
            return True
        hashes[doubtful] = digests(files, doubtful.tolist(), workers)
    if content_key(request, files, hashes) != fingerprint:
        return False
    try:
        save_stamps(folder, files, hashes)
    except OSError as error:
        note(f"{folder}: cannot note what the source files look like now ({error.strerror}); each run reads them again")
    return True


def _read_stamps(folder: Path) -> tuple[str, NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    path = folder / _STAMPS
    try:
        with np.load(io.BytesIO(read_zip(path, "")[0])) as stamps:
            root, sizes, times, hashes = (stamps[name] for name in ("root", "sizes", "times", "hashes"))
        return bytes(root).decode(), sizes, times, hashes
    except OSError as error:
        raise DamagedFileError(path, f"cannot be read: {error.strerror}", "") from None
    except (KeyError, ValueError) as error:
        if isinstance(error, DamagedFileError):
            raise
        raise DamagedFileError(path, "is no list of files", "") from None


def _hash(*parts: bytes) -> str:
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
