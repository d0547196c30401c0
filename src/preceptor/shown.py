"""What is shown of texts that others wrote: nothing that a terminal obeys, nothing of where files lie here."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

_STARTS = r"""(?<![^\s'"`(\[{=,;:])"""
_PART = r"""[^\s/'"`,;:()\[\]{}<>|]"""
_PLACE = re.compile(rf"{_STARTS}(?:~[\w.-]*)?/(?!/)(?:{_PART}+/)*(?={_PART})")
"""The folders of an absolute path in a sentence; a path with spaces is known for one up to the first of them."""

_WHOLE = re.compile(r"((?:local-dir:)?)(?:~|/|[A-Za-z]:[/\\])")


def plain(text: str) -> str:
    """``text`` with what moves a cursor, hides or reverses other text written out: ``\\x1b``. Lines and tabs stay.

    Bytes of a file's name that were no UTF-8 are written as ``\\xe4``.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _is_harmless(character) else _written_out(character) for character in text)


def one_line(text: str) -> str:
    """:func:`plain`, on one line."""
    return plain(" ".join(text.splitlines()) if "\n" in text or "\r" in text else text).replace("\t", " ")


def without_places(text: str) -> str:
    """``text`` in which absolute paths have kept their last part: ``/home/me/runs/a`` is ``…/a``."""
    return _PLACE.sub("…/", text) if "/" in text else text


def place_free(value: Any) -> Any:
    """A recipe, or a part of one, whose absolute paths have kept their last part."""
    if isinstance(value, Mapping):
        return {key: place_free(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [place_free(one) for one in value]
    if isinstance(value, str) and (found := _WHOLE.match(value)):
        last = re.split(r"[/\\]", value.rstrip("/"))[-1]
        return f"{found[1]}…/{last}"
    return value


def _is_harmless(character: str) -> bool:
    # Cc: control characters; Cf: also what reverses the order of letters, and the two joiners that some scripts want;
    # Cs: half characters; Zl, Zp: line ends.
    return character in "\n\t\u200c\u200d" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _written_out(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that Python could not decode
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
