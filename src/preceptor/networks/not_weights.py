"""Files that stand where weights should be: pages, pointers, messages of a server; and weights that are too large."""

import re
from contextlib import suppress
from pathlib import Path

from preceptor.errors import UserError

_SEEN = 512
_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<head")
_POINTER = b"version https://git-lfs"


def require_weights(path: Path) -> None:
    """Refuse a file that begins as no weights do.

    Raises:
        UserError: says what it is, and how to come by the weights.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_SEEN).lstrip().lower()
    if not size:
        raise UserError(f"weights {str(path)!r}: the file is empty. Fetch it again; its download was broken off.")
    if start.startswith(_PAGES):
        raise UserError(
            f"weights {str(path)!r}: is a web page (HTML), not weights: what was saved is the page about the file, or "
            "one that asks to log in.\nFetch the file itself: log in, agree to the terms of a gated repository, and "
            "take the address with `/resolve/`, or `huggingface-cli download OWNER/NAME FILE`."
        )
    if start.startswith(_POINTER):
        raise UserError(
            f"weights {str(path)!r}: is a pointer of Git LFS ({size} bytes), not the weights that it points to.\n"
            "Run `git lfs pull` in its folder, or fetch the file itself."
        )
    if start.startswith(b"{") and path.suffix != ".safetensors":
        raise UserError(
            f"weights {str(path)!r}: is a text (JSON), not weights: perhaps a server's message, or a config.\n"
            "Give the file with the weights, or the folder that holds both."
        )


def require_room(path: Path) -> None:
    """Refuse a file that does not fit into memory beside the network that it is for, before the system kills the run.

    Raises:
        UserError: says how much it takes and how much there is.
    """
    takes = path.stat().st_size * (2 if path.suffix == ".safetensors" else 3)  # as bytes, as tensors, as a network
    there = _memory_available()
    if there is not None and takes > there:
        raise UserError(
            f"weights {str(path)!r}: {path.stat().st_size / 1e9:.1f} GB, of which reading takes about "
            f"{takes / 1e9:.1f} GB of memory, and {there / 1e9:.1f} GB are free.\nFree some, use a machine with more, "
            "or a smaller teacher; `preceptor teachers` lists their sizes."
        )


def _memory_available() -> int | None:
    """Bytes that a program may still take; None where the system does not say."""
    with suppress(OSError):
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        return int(found[1]) * 1024 if found else None
    return None
