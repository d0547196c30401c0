"""Every file below a folder, and what of it systems and programs have left there.

Nobody means ``Thumbs.db`` or ``__MACOSX/`` as data: they are left out wherever data is looked for, and counted where
files are accounted for.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from preceptor.errors import UserError
from preceptor.quoting import quoted

LEFT_BEHIND = {
    "__macosx": "macOS",
    "icon\r": "macOS",
    "thumbs.db": "Windows",
    "ehthumbs.db": "Windows",
    "desktop.ini": "Windows",
    "$recycle.bin": "Windows",
    "system volume information": "Windows",
    "@eadir": "Synology",
    "#recycle": "Synology",
    "#snapshot": "Synology",
    "@recycle": "QNAP",
    "@recently-snapshot": "QNAP",
    ".@__thumb": "QNAP",
    "lost+found": "Linux",
    "__pycache__": "Python",
}
"""Names of files and folders, in small letters, with who leaves them."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file below a folder.

    Args:
        place: path below that folder, with ``/`` between its parts.
        left_behind: whether a system or a program left it there, or it is hidden.
    """

    place: str
    left_behind: bool


def is_left_behind(name: str) -> bool:
    """Whether a file or folder of this name was left by a system or a program, or is hidden."""
    return name.startswith(".") or name.lower() in LEFT_BEHIND


def files_below(root: Path) -> list[FoundFile]:
    """Every file below ``root``, sorted, links followed.

    Raises:
        UserError: a folder cannot be read, or holds itself by a link.
    """
    return sorted(_walk(str(root), "", False, frozenset()), key=lambda found: found.place)


def refuse_own_folder(folder: str | Path, above: frozenset[tuple[int, int]]) -> frozenset[tuple[int, int]]:
    """The folders above what is in ``folder``; UserError where it is one of them itself."""
    status = os.stat(folder)
    this = (status.st_dev, status.st_ino)
    if this in above:
        raise UserError(
            f"folder {quoted(folder)} holds itself, by a link: its images would be read again and again, under other "
            "names and classes; remove the link"
        )
    return above | {this}


def _walk(folder: str, place: str, left_behind: bool, above: frozenset[tuple[int, int]]) -> Iterator[FoundFile]:
    above = refuse_own_folder(folder, above)
    try:
        with os.scandir(folder) as entries:
            inside = [(entry.name, _is_folder(entry)) for entry in entries]
    except OSError as error:
        raise UserError(f"folder {quoted(folder)} cannot be read: {error.strerror}") from None
    for name, is_folder in inside:
        odd = left_behind or is_left_behind(name)
        if is_folder:
            yield from _walk(os.path.join(folder, name), f"{place}{name}/", odd, above)
        else:
            yield FoundFile(place + name, odd)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself
        return False
