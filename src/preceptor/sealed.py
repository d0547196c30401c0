"""Sealed files: what preceptor reads back is what it wrote, or it says so.

A seal is the SHA-256 of the content, kept in the file itself, so that it can neither be lost nor be of another version
of the file. JSON has it as its last key; a zip (torch's checkpoints, numpy's ``.npz``) as its comment, which other
readers of these formats pass over. What an older version wrote has no seal and is read as it is.
"""

import errno
import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from preceptor.errors import DamagedFileError
from preceptor.files import write_json, write_with
from preceptor.opening import open_file, require_file

KEY = "sha256"
_COMMENT = b"preceptor sha256 "
_COMMENT_LENGTH = len(_COMMENT) + 64
CHANGED = "was changed or damaged after it was written"
_NO_JSON = "is empty, cut short or no JSON"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal text."""
    require_file(path, "file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_whole(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it is a pipe, a device or a folder.
    """
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    with open_file(path, "file") as file:
        return file.read()


def write_sealed(path: Path, value: Mapping[str, Any], *, but: Collection[str] = ()) -> None:
    """Write ``value`` as readable JSON with its seal, which leaves out the keys ``but``, atomically."""
    write_json(path, {**value, KEY: seal_of(_without(value, but))})


def read_sealed(path: Path, remedy: str, *, but: Collection[str] = ()) -> tuple[dict[str, Any], bool]:
    """What :func:`write_sealed` wrote, and whether it bears a seal; one without is of an older version.

    Args:
        remedy: what to do when the file is damaged, for the error.
        but: keys that the seal leaves out.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: no JSON object, or not what was written.
    """
    content = read_whole(path)
    try:
        value = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise DamagedFileError(path, _NO_JSON, remedy) from None
    if not isinstance(value, dict):
        raise DamagedFileError(path, f"holds {type(value).__name__}, not the JSON object that was written", remedy)
    seal = value.pop(KEY, None)
    try:
        if seal is None:  # of an older version, unless it is the seal's own name that was hit
            *_, last = ["", *value]
            is_whole = not last or value[last] != seal_of(_without(value, {*but, last}))
        else:
            is_whole = seal == seal_of(_without(value, but))
    except ValueError:  # a number that JSON does not know
        is_whole = False
    if not is_whole:
        raise DamagedFileError(path, CHANGED, remedy)
    return value, seal is not None


def _refuse(word: str) -> object:
    raise ValueError(f"{word} is no JSON")


def seal_of(value: Mapping[str, Any]) -> str:
    """SHA-256 of the JSON values of ``value``, whatever their layout on disk."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _without(value: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: one for key, one in value.items() if key not in keys}


def sealed_zip(content: bytes | memoryview) -> bytes:
    """The zip ``content``, which has no comment yet, with its seal as comment."""
    return b"".join(_sealed_parts(memoryview(content)))


def write_sealed_zip(path: Path, content: bytes | memoryview) -> None:
    """Write the zip ``content``, which has no comment yet, with its seal, atomically and without a copy in memory."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.writelines(_sealed_parts(memoryview(content)))

    write_with(path, write)


def read_zip(path: Path, remedy: str) -> tuple[bytes, bool]:
    """The bytes of a zip, verified, and whether it bears a seal; one without is checked by its own CRC-32 sums.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: no zip, or not what was written.
    """
    content = read_whole(path)
    return content, verify_zip(content, path, remedy)


def is_zip(content: bytes) -> bool:
    """Whether ``content`` begins or ends as a zip that may bear a seal."""
    return content.startswith(b"PK") or content[-_COMMENT_LENGTH:].startswith(_COMMENT)


def verify_zip(content: bytes, path: Path, remedy: str) -> bool:
    """As :func:`read_zip`, of what was read from ``path`` already; whether it bears a seal."""
    if content[-_COMMENT_LENGTH:].startswith(_COMMENT):
        body, end = _sealed_parts(memoryview(content)[:-_COMMENT_LENGTH])
        if content[len(body) :] != end:
            raise DamagedFileError(path, CHANGED, remedy)
        return True
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, OSError):
        raise DamagedFileError(path, "is empty, cut short or damaged", remedy) from None
    if damaged is not None:
        raise DamagedFileError(path, CHANGED, remedy)
    return False


def _sealed_parts(content: memoryview) -> tuple[memoryview, bytes]:
    """A zip up to the length of its comment, and that length with the seal."""
    body = content[:-2]
    return body, _COMMENT_LENGTH.to_bytes(2, "little") + _COMMENT + hashlib.sha256(body).hexdigest().encode()
