"""Names and texts from outside, as they may stand in a message: no terminal escapes, no lines of their own."""

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


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # how Python holds a byte of a file name that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
