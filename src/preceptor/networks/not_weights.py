"""Files that stand where weights should be: pages, pointers, messages of a server."""

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
