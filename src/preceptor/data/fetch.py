"""Downloads of openly published data sets: hash-checked, resumable, and nothing half-done under a final name.

pooch decides whether a file is there already and checks the hash; :class:`Resuming` does the download,
because pooch would start again at zero.
"""

import gzip
import os
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

from preceptor.data.published import Published, Unpack
from preceptor.errors import UserError

DownloadProgress = Callable[[str, int, int | None], None]

_TRIES = 5
_BLOCK = 1 << 20
_AGENT = "preceptor (data set download)"


def fetch(remote: Published, to: Path, *, progress: DownloadProgress | None = None) -> Path:
    """Download and unpack ``remote`` below ``to``; what is there already is checked and left.

    Args:
        progress: called with (file name, bytes so far, bytes in all or None).

    Returns:
        the folder to give to the source.

    Raises:
        UserError: no connection, an interrupted download, a wrong hash, or no place.
    """
    import pooch

    folder = to / remote.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"folder {str(folder)!r} cannot be made: {error.strerror}") from None
    for file in remote.files:
        download = Resuming(folder / f"{file.name}.part", file.name, progress or (lambda name, done, total: None))
        try:
            pooch.retrieve(file.url, known_hash=file.digest, fname=file.name, path=folder, downloader=download)
            if file.unpack is not None:
                _unpack(folder / file.name, file.unpack)
        except UserError:
            raise
        except ValueError:  # pooch's word for a wrong hash
            raise UserError(
                f"{file.name} from {file.url} does not have the published hash {file.digest}: it was thrown away. "
                "Try again; if it happens again, the published file has changed or something alters your downloads"
            ) from None
        except OSError as error:
            raise UserError(
                f"{file.name}: {error.strerror or error}; the same command again goes on from here"
            ) from None
    return folder


class Resuming:
    """A pooch downloader that keeps what it has in ``part`` and asks the server for the rest.

    Args:
        part: where the bytes gather until there are as many as the server promised.
        name: of the file, for progress and messages.
        progress: see :func:`fetch`.
    """

    def __init__(self, part: Path, name: str, progress: DownloadProgress) -> None:
        self.part = part
        self.name = name
        self.progress = progress

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        for attempt in range(_TRIES):
            before = self._have()
            trouble = self._receive(url)
            if trouble is None:
                os.replace(self.part, output_file)
                return
            if self._have() == before and attempt:
                break
        raise UserError(
            f"{self.name} from {url}: {trouble}. {self._have()} bytes are kept; "
            "the same command again goes on from there"
        )

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _receive(self, url: str) -> str | None:
        """Append what is missing; None where the file is complete, else what went wrong."""
        start = self._have()
        headers = {"User-Agent": _AGENT, **({"Range": f"bytes={start}-"} if start else {})}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
                goes_on = answer.status == 206 and str(answer.headers.get("Content-Range", "")).startswith(
                    f"bytes {start}-"
                )
                start = start if goes_on else 0
                length = answer.headers.get("Content-Length")
                total = None if length is None else start + int(length)
                with self.part.open("ab" if goes_on else "wb") as file:
                    done = start
                    while block := answer.read(_BLOCK):
                        file.write(block)
                        done += len(block)
                        self.progress(self.name, done, total)
                    file.flush()
                    os.fsync(file.fileno())
        except urllib.error.HTTPError as error:
            if error.code == 416 and start:  # nothing is left to send, or the kept part is longer than the file
                whole = str(error.headers.get("Content-Range", "")).rpartition("/")[2]
                if whole == str(start):
                    return None
                self.part.unlink()
                return "the kept part did not fit the file on the server and was thrown away"
            return f"the server answers {error.code} {error.reason}"
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
            return f"the connection failed ({getattr(error, 'reason', None) or error})"
        return None if total is None or done >= total else f"the connection ended at {done} of {total} bytes"


def _unpack(archive: Path, how: Unpack) -> None:
    """Unpack beside ``archive``; files of the right size that are there are left, others appear whole or not at all."""
    try:
        if how == "gzip":
            target = archive.with_suffix("")
            if not target.exists():
                with gzip.open(archive, "rb") as packed:
                    _write(packed, target)
            return
        with zipfile.ZipFile(archive) as packed_files:
            for member in packed_files.infolist():
                place = _target(archive, member, flat=how == "flat")
                if place is None or (place.exists() and place.stat().st_size == member.file_size):
                    continue
                place.parent.mkdir(parents=True, exist_ok=True)
                with packed_files.open(member) as packed:
                    _write(packed, place)
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError) as error:
        raise UserError(f"{str(archive)!r} cannot be unpacked: {error}; remove it and fetch again") from None


def _target(archive: Path, member: zipfile.ZipInfo, *, flat: bool) -> Path | None:
    """Where a member goes; None for folders and what macOS adds. Never outside the archive's folder."""
    path = Path(member.filename)
    if member.is_dir() or "__MACOSX" in path.parts or path.name.startswith("."):
        return None
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"{str(archive)!r} holds the unsafe path {member.filename!r}: nothing of it was unpacked there")
    return archive.with_suffix("") / path.name if flat else archive.parent / path


def _write(packed: Any, target: Path) -> None:
    part = target.with_name(f"{target.name}.part")
    with part.open("wb") as file:
        shutil.copyfileobj(packed, file, _BLOCK)
        file.flush()
        os.fsync(file.fileno())
    part.replace(target)
