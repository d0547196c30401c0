"""Names and texts from outside, as they may stand in a message: no terminal escapes, no lines of their own."""

import unicodedata
from pathlib import Path

_MOST = 240


def shown(text: object, most: int = _MOST) -> str:
    r"""``text`` on one line, cut where long: what a terminal would act on, and bytes that are no UTF-8, as ``\x1b``."""
    plain = str(text)
    if not plain.isprintable():
        plain = "".join(character if character.isprintable() else _escaped(character) for character in plain)
    return plain if len(plain) <= most else f"{plain[: most // 2]} … {plain[-most // 2 :]}"


def quoted(name: str | Path) -> str:
    """A name or path in quotes, as :func:`shown`."""
    return f"'{shown(name)}'"


def plain(text: str) -> str:
    """``text`` with what moves a cursor, hides or reverses other text written out: ``\\x1b``. Lines and tabs stay.

    Bytes of a file's name that were no UTF-8 are written as ``\\xe4``.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if _is_harmless(character) else _escaped(character) for character in text)


def one_line(text: str) -> str:
    """:func:`plain`, on one line."""
    return plain(" ".join(text.splitlines()) if "\n" in text or "\r" in text else text).replace("\t", " ")


def _is_harmless(character: str) -> bool:
    # Cc: control characters; Cf: also what reverses the order of letters, and the two joiners that some scripts want;
    # Cs: half characters; Zl, Zp: line ends.
    return character in "\n\t\u200c\u200d" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python holds a byte of a file name that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
