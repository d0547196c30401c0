"""What the sources share: reading folders, and refusing in one voice."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from preceptor.data.images import IMAGE_SUFFIXES
from preceptor.errors import UserError

MASK_NAME = re.compile(r"mask|annot|segment|ground|label|^gt$", re.IGNORECASE)
"""Folders and columns that hold masks are called like this."""


def folder_at(path: Path, source: str) -> Path:
    """``path`` where it is a folder; UserError otherwise."""
    if path.is_dir():
        return path
    came = "is a file" if path.exists() else "does not exist"
    raise UserError(f"{source}: {str(path)!r} {came}: a folder was expected")


def entries(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the folders and of the files in ``folder``, each sorted, hidden ones left out."""
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if not entry.name.startswith("."):
                    (folders if entry.is_dir() else files).append(entry.name)
    except FileNotFoundError:
        raise UserError(f"folder {str(folder)!r} does not exist") from None
    except NotADirectoryError:
        raise UserError(f"{str(folder)!r} is a file: a folder was expected") from None
    except OSError as error:
        raise UserError(f"folder {str(folder)!r} cannot be read: {error.strerror}; check its permissions") from None
    return sorted(folders), sorted(files)


def image_names(names: Iterable[str]) -> list[str]:
    """Those of ``names`` that end like an image."""
    return [name for name in names if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES]


def images_in(folder: Path) -> dict[str, str]:
    """Stem -> path of every image in ``folder``, by name; one directory scan, no look at the files.

    Raises:
        UserError: two images differ in their ending only.
    """
    found: dict[str, str] = {}
    place = os.path.join(folder, "")
    for name in entries(folder)[1]:
        stem, suffix = os.path.splitext(name)
        if suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if stem in found:
            raise UserError(f"folder {str(folder)!r} has {os.path.basename(found[stem])!r} and {name!r}: which is it?")
        found[stem] = place + name
    return found


def images_below(folder: Path) -> dict[str, str]:
    """Path below ``folder`` without ending -> path of every image in it and in the folders below, in order."""
    found = images_in(folder)
    for name in entries(folder)[0]:
        found |= {os.path.join(name, stem): file for stem, file in images_below(folder / name).items()}
    return found


def tree(folder: Path) -> list[str]:
    """Names of all folders below ``folder``."""
    inside = entries(folder)[0]
    return [*inside, *(name for one in inside for name in tree(folder / one))]


def refuse(source: str, path: Path, saw: str, expected: str) -> UserError:
    """The error for a layout that ``source`` does not understand."""
    return UserError(f"{source}: {str(path)!r} is not laid out as published.\n  saw: {saw}\n  expected: {expected}")


def named(names: Sequence[str] | set[str], most: int = 5) -> str:
    """Some of ``names``, sorted, and how many more there are."""
    shown = sorted(names)
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more if shown else "nothing"


def contents(folder: Path) -> str:
    """What is in ``folder``, for messages."""
    folders, files = entries(folder)
    return named([f"{name}/" for name in folders] + files, most=8)


def matched(source: str, left: set[str], right: set[str], *, only_left: str, only_right: str) -> None:
    """UserError where ``left`` and ``right`` are not the same names; ``only_left`` says what those in ``left`` lack."""
    for missing, what in ((left - right, only_left), (right - left, only_right)):
        if missing:
            raise UserError(f"{source}: {len(missing)} {what}: {named(missing)}; add those missing, or leave these out")
