"""Which images are to be answered: those of folders, files and tables, each with a name that is its own."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from preceptor.data.names import check_names
from preceptor.data.pixels import USUAL, PixelRules
from preceptor.data.pixels.endings import IMAGE_SUFFIXES, is_image
from preceptor.data.pixels.volumes import volume_at
from preceptor.data.sources._tables import read_table
from preceptor.errors import UserError
from preceptor.quoting import quoted

TABLES = (".csv", ".tsv")
COLUMNS = ("file", "image", "path", "filename", "image_path")
"""What the column that names images may be called, without regard to case."""


@dataclass(frozen=True, slots=True)
class Item:
    """An image to be answered.

    Args:
        name: in the table; below a folder the path from there, in a table what stands there.
        path: where it lies; nothing need lie there.
        place: the slice or frame, where the file holds several.
    """

    name: str
    path: str
    place: int | None = None


def find_images(paths: Sequence[Path], rules: PixelRules = USUAL) -> list[Item]:
    """The images in ``paths``, in order: of folders all below, sorted; files; of tables every row; of volumes slices.

    Args:
        rules: along which axis volumes are cut.

    Raises:
        UserError: nothing there, a folder without images, a table without a column of images, two images of one name.
    """
    several = sum(path.is_dir() for path in paths) > 1
    items = [one for path in paths for item in _in(path, several) for one in _slices(item, rules)]
    check_names("image names", [item.name for item in items])
    names = pd.Series([item.name for item in items], dtype=object)
    twice = names[names.duplicated()]
    if len(twice):
        raise UserError(
            f"{twice.nunique()} images have the name of another one, such as {quoted(twice.iloc[0])}: rows and masks "
            "could not be told apart.\nGive each image once, or the folder above them."
        )
    return items


def _slices(item: Item, rules: PixelRules) -> Iterator[Item]:
    """Each slice or frame of a volume, called ``NAME#0000`` as in training; everything else as it is."""
    try:
        volume = volume_at(item.path, rules)
    except UserError:  # the extra is missing, which whoever reads the file says
        volume = None
    if volume is None or volume.slices == 1:
        yield item
        return
    for place in range(volume.slices):
        yield Item(f"{item.name}#{place:04d}", item.path, place)


def _in(path: Path, several: bool) -> Iterator[Item]:
    if path.is_dir():
        yield from _below(path, f"{path.resolve().name}/" if several else "")
    elif path.suffix.lower() in TABLES:
        yield from _rows(path)
    elif path.exists() or path.is_symlink():
        yield Item(path.name, str(path))
    else:
        raise UserError(f"{quoted(path)} does not exist; give a folder, an image or a CSV of images")


def _below(folder: Path, prefix: str) -> Iterator[Item]:
    found = []
    for where, folders, files in os.walk(folder):  # links to folders are not followed: they may lead in a circle
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            os.path.join(where, name)
            for name in files
            if not name.startswith(".") and is_image(os.path.join(where, name))
        ]
    if not found:
        raise UserError(f"no image in {quoted(folder)} or below: {', '.join(sorted(IMAGE_SUFFIXES))} are looked for")
    names = {Path(os.path.relpath(path, folder)).as_posix(): path for path in found}
    for name in sorted(names):
        yield Item(prefix + name, names[name])


def _rows(table: Path) -> Iterator[Item]:
    rows = read_table(table).rows
    column = next((name for name in rows.columns if str(name).strip().lower() in COLUMNS), None)
    if column is None:
        raise UserError(
            f"{quoted(table)} has no column that names images: it has {', '.join(map(str, rows.columns))}.\n"
            f"Call it one of {', '.join(COLUMNS)}."
        )
    if not len(rows):
        raise UserError(f"{quoted(table)} has no rows")
    for line, value in enumerate(rows[column].tolist(), start=2):
        if not str(value).strip():
            raise UserError(f"{quoted(table)} names no image in line {line}")
        yield Item(value, str(_there(table.parent, value)))


def _there(folder: Path, value: str) -> Path:
    """Where the image of a row lies: also where the table was written on Windows."""
    path = folder / value
    if not path.exists() and "\\" in value:
        return folder / value.replace("\\", "/")
    return path


def file_for(folder: Path, name: str, suffix: str = ".png") -> Path:
    """Where something about the image ``name`` goes in ``folder``, whatever the name is."""
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "..", ".")]
    return folder.joinpath(*(part.replace(":", "_") for part in parts[:-1]), f"{parts[-1].replace(':', '_')}{suffix}")
