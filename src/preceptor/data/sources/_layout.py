"""What the sources share: reading folders, and refusing in one voice."""

import errno
import os
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

from preceptor.data.layouts import IMAGES_WORD, MASK_WORD
from preceptor.data.pixels.endings import is_image, parted
from preceptor.data.tree import files_below, is_left_behind, refuse_own_folder
from preceptor.errors import UserError
from preceptor.opening import no_file
from preceptor.quoting import quoted, shown

AS_UNLABELLED = ", or take them as images that have no mask with the option unpaired: unlabelled"
Part = Literal["train", "validation", "test"]
PART_WORDS: dict[str, Part] = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What parts of a data set are called, and which part that is."""

NO_GROUPS = (
    "No groups are known: images of one patient can be on both sides of a split. If names tell the patient, set "
    r"data.options.group to a regular expression whose first bracket is the patient, for example '^([^_]+)_'"
)
MASK_NAME = re.compile(r"mask|annot|segment|ground|label|^gt$", re.IGNORECASE)
"""Columns that name masks may be called like this."""

MASK_WORDS = frozenset(
    {
        "mask", "masks", "label", "labels", "segmentation", "segmentations", "seg", "segs", "annotation", "annotations",
        "annot", "annots", "anno", "gt", "gts", "groundtruth", "groundtruths", "manual",
        "maske", "masken", "segmentierung", "segmentierungen", "annotationen",
    }
)  # fmt: skip
"""Words by which folders say that masks are in them."""
_MASK_ENDS = ("mask", "masks", "annot", "annots", "annotation", "annotations", "groundtruth", "segmentation")
_MASK_NAMES = frozenset({"segmented", "annotated", "labelled", "labeled", "ground"})
"""Words that say so where they are the whole name, and are classes (segmented cells) where they are not."""


def folder_at(path: Path, source: str) -> Path:
    """``path`` where it is a folder; UserError otherwise."""
    if path.is_dir():
        return path
    came = no_file(path) or "is a file"
    raise UserError(f"{source}: {quoted(path)} {came.partition(';')[0]}: a folder was expected")


def entries(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the folders and of the files in ``folder``, each sorted, without what systems leave there."""
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as found:
            for entry in found:
                if not is_left_behind(entry.name):
                    _refuse_lost(entry)
                    (folders if _is_folder(entry) else files).append(entry.name)
    except FileNotFoundError:
        raise UserError(f"folder {quoted(folder)} does not exist") from None
    except NotADirectoryError:
        came = (no_file(folder) or "is a file").partition(";")[0]
        raise UserError(f"{quoted(folder)} {came}: a folder was expected") from None
    except OSError as error:
        hint = "; check its permissions" if error.errno in (errno.EACCES, errno.EPERM) else ""
        raise UserError(f"folder {quoted(folder)} cannot be read: {error.strerror}{hint}") from None
    return sorted(folders), sorted(files)


def _refuse_lost(entry: "os.DirEntry[str]") -> None:
    """A link that leads nowhere and is called like a folder may be a class, and would go missing in silence."""
    if entry.is_symlink() and not os.path.splitext(entry.name)[1] and not os.path.exists(entry.path):
        raise UserError(f"{quoted(entry.path)} {no_file(entry.path)}; mend or remove it")


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself: named when it is read
        return False


def image_names(folder: str | Path, names: Iterable[str]) -> list[str]:
    """Those of the ``names`` in ``folder`` that are image files: they end so, or are DICOM without an ending."""
    return [name for name in names if is_image(os.path.join(folder, name))]


def image_places(root: Path) -> list[str]:
    """Paths of all image files below ``root``, without those that systems leave behind."""
    return image_names(root, (found.place for found in files_below(root) if not found.left_behind))


def is_mask_folder(name: str) -> bool:
    """Whether a word of a folder's name says that masks are in it."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    said = {*words, *("".join(pair) for pair in pairwise(words))}
    return bool(MASK_WORDS & said) or any(word.endswith(_MASK_ENDS) for word in said) or name.lower() in _MASK_NAMES


def images_in(folder: Path) -> dict[str, str]:
    """Stem -> path of every image in ``folder``, by name; one directory scan, no look at the files.

    A pipe, or a folder without images, that is called like an image is among them: whoever reads it says what it is.

    Raises:
        UserError: two images differ in their ending only.
    """
    found: dict[str, str] = {}
    place = os.path.join(folder, "")
    folders, files = entries(folder)
    no_files = [name for name in image_names(folder, folders) if not images_below(folder / name)]
    for name in sorted([*image_names(folder, files), *no_files]):
        stem = parted(name)[0]
        if stem in found:
            other = os.path.basename(found[stem])
            raise UserError(
                f"folder {quoted(folder)} has {quoted(other)} and {quoted(name)}: which is it? Remove one if they are "
                "one picture, rename one if they are two"
            )
        found[stem] = place + name
    return found


def images_below(folder: Path, above: frozenset[tuple[int, int]] = frozenset()) -> dict[str, str]:
    """Path below ``folder`` without ending -> path of every image in it and in the folders below, in order.

    Raises:
        UserError: see :func:`images_in`; or a link leads back to one of the folders ``above`` it.
    """
    above = refuse_own_folder(folder, above)
    found = images_in(folder)
    for name in entries(folder)[0]:
        found |= {os.path.join(name, stem): file for stem, file in images_below(folder / name, above).items()}
    return found


def tree(folder: Path, above: frozenset[tuple[int, int]] = frozenset()) -> list[str]:
    """Names of all folders below ``folder``; see :func:`images_below`."""
    above = refuse_own_folder(folder, above)
    inside = entries(folder)[0]
    return [*inside, *(name for one in inside for name in tree(folder / one, above))]


def is_image_folder(name: str) -> bool:
    """Whether a folder's name is a word for images, and so tells no class."""
    return re.fullmatch(IMAGES_WORD, name) is not None


def is_mask_name(stem: str) -> bool:
    """Whether the last word of a file's name, without ending, says that it is a mask."""
    return re.fullmatch(rf"(?:.*[ _.-])?{MASK_WORD}(?:[ _.-]*\d+)?", stem) is not None


def refuse(source: str, path: Path, saw: str, expected: str) -> UserError:
    """The error for a layout that ``source`` does not understand."""
    return UserError(f"{source}: {quoted(path)} is not laid out as published.\n  saw: {saw}\n  expected: {expected}")


def some_of(names: Sequence[str] | set[str], most: int = 5) -> str:
    """Some of ``names``, sorted, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(shown(name, 100) for name in ordered[:most]) + more if ordered else "nothing"


def contents(folder: Path) -> str:
    """What is in ``folder``, for messages."""
    folders, files = entries(folder)
    return some_of([f"{name}/" for name in folders] + files, most=8)


def matched(
    source: str, left: set[str], right: set[str], *, only_left: str, only_right: str, or_left: str = ""
) -> None:
    """UserError where ``left`` and ``right`` are not the same names; ``only_left`` says what those in ``left`` lack.

    Args:
        or_left: what else can be done with those in ``left``.
    """
    for missing, what, more in ((left - right, only_left, or_left), (right - left, only_right, "")):
        if missing:
            raise UserError(
                f"{source}: {len(missing)} {what}: {some_of(missing)}; add those missing, or leave these out{more}"
            )
