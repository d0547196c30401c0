"""Sealed files: what preceptor reads back is what it wrote, or it says so.

A seal is the SHA-256 of the content, kept in the file itself, so that it can neither be lost nor be of another version
of the file. JSON has it as its last key; a zip (torch's checkpoints, numpy's ``.npz``) as its comment, which other
readers of these formats pass over. What an older version wrote has no seal and is read as it is.
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from preceptor.errors import DamagedFileError
from preceptor.files import write_json

KEY = "sha256"
_COMMENT = b"preceptor sha256 "
_CHANGED = "was changed or damaged after it was written"
_NO_JSON = "is empty, cut short or no JSON"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Write ``value`` as readable JSON with its seal, atomically."""
    write_json(path, {**value, KEY: seal_of(value)})


def read_sealed(path: Path, remedy: str) -> tuple[dict[str, Any], bool]:
    """What :func:`write_sealed` wrote, and whether it bears a seal; one without is of an older version.

    Args:
        remedy: what to do when the file is damaged, for the error.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: no JSON object, or not what was written.
    """
    content = path.read_bytes()
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise DamagedFileError(path, _NO_JSON, remedy) from None
    if not isinstance(value, dict):
        raise DamagedFileError(path, f"holds {type(value).__name__}, not the JSON object that was written", remedy)
    seal = value.pop(KEY, None)
    if seal is not None and seal != seal_of(value):
        raise DamagedFileError(path, _CHANGED, remedy)
    return value, seal is not None


def seal_of(value: Mapping[str, Any]) -> str:
    """SHA-256 of the JSON values of ``value``, whatever their layout on disk."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def sealed_zip(content: bytes | memoryview) -> bytes:
    """The zip ``content``, which has no comment yet, with its seal as comment."""
    body = bytes(content[:-2])  # without the length of the comment
    comment = _COMMENT + hashlib.sha256(body).hexdigest().encode()
    return body + len(comment).to_bytes(2, "little") + comment


def read_zip(path: Path, remedy: str) -> tuple[bytes, bool]:
    """The bytes of a zip, verified, and whether it bears a seal; one without is checked by its own CRC-32 sums.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: no zip, or not what was written.
    """
    content = path.read_bytes()
    length = len(_COMMENT) + 64
    comment = content[-length:]
    if comment.startswith(_COMMENT):
        body = content[: -length - 2]
        whole = body + length.to_bytes(2, "little") + _COMMENT + hashlib.sha256(body).hexdigest().encode()
        if whole != content:
            raise DamagedFileError(path, _CHANGED, remedy)
        return content, True
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, OSError):
        raise DamagedFileError(path, "is empty, cut short or damaged", remedy) from None
    if damaged is not None:
        raise DamagedFileError(path, _CHANGED, remedy)
    return content, False
