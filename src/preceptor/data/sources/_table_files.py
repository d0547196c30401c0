"""The files that a column of a table names, as tables from other computers name them."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from preceptor.data.pixels.endings import IMAGE_SUFFIXES, ending_of, parted
from preceptor.data.sources._layout import entries, image_places
from preceptor.errors import UserError
from preceptor.quoting import quoted


@dataclass(frozen=True)
class NamedFiles:
    """A path for each row.

    Args:
        paths: of the rows.
        by_name: rows whose path leads nowhere here and whose file was found by its name.
        note: one sentence on those, or "".
    """

    paths: list[str]
    by_name: tuple[int, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class NamedMasks:
    """The mask files of each row.

    Args:
        of_rows: one path, or none where the cell is empty.
        note: one sentence on those that were found by name, or "".
    """

    of_rows: tuple[tuple[str, ...], ...]
    note: str


def base_name(value: str) -> str:
    """The last part of a path of any system, or of an address; accents are one letter, as most systems write them."""
    return unicodedata.normalize("NFC", _without_query(value).rstrip("/").rpartition("/")[2])


def _without_query(value: str) -> str:
    """``value`` with ``/`` between its parts and, where it is an address, without what follows ``?`` or ``#``."""
    return re.split(r"[?#]", value, maxsplit=1)[0] if "://" in value else value.replace("\\", "/")


def _as_found(place: str) -> str:
    """``place`` in the form in which paths are compared."""
    return unicodedata.normalize("NFC", os.path.normpath(place)).lower()


def stem_of(value: str) -> str:
    """The name of a file without folders and ending, in small letters; of a number, without zeros before it."""
    stem = parted(base_name(value))[0].lower()
    return str(int(stem)) if stem.isascii() and stem.isdigit() else stem


def have_zeros_before(places: Iterable[str]) -> bool:
    """Whether files are called by numbers with zeros before them, which spreadsheets drop."""
    return any(re.fullmatch(r"0\d+", parted(base_name(place))[0]) for place in places)


def masks_in(column: "pd.Series[str]", root: Path, folder: str, template: str) -> NamedMasks:
    """The masks that a column names; see :func:`named_files`.

    Raises:
        UserError: as there; or every cell is empty.
    """
    is_known = (column.str.strip() != "").to_numpy()
    if not is_known.any():
        raise UserError(
            f"table: column {column.name} is empty in every row; where there are no masks, use the source images"
        )
    found = named_files(column[is_known].tolist(), root, folder, template, "mask")
    paths = iter(found.paths)
    return NamedMasks(tuple((next(paths),) if one else () for one in is_known.tolist()), found.note)


def named_files(values: Sequence[str], root: Path, folder: str, template: str, kind: str) -> NamedFiles:
    """The files that ``values`` name: at their place, else the one file of that name.

    Args:
        values: of a column.
        root: the folder of the data.
        folder: below it, where the files should be.
        template: file name, with ``{}`` for the value.
        kind: ``image`` or ``mask``.

    Raises:
        UserError: rows whose file is not there, or could be several.
    """
    if "{}" not in template:
        raise UserError(f"table: the option {kind}_file is {template!r}: it needs {{}} where the column's value goes")
    place = root / folder
    paths = [os.path.normpath(os.path.join(place, template.replace("{}", value))) for value in values]
    there = {
        where: set(entries(Path(where))[1])
        for where in {os.path.dirname(path) for path in paths}
        if os.path.isdir(where)
    }
    absent = [
        row for row, path in enumerate(paths) if os.path.basename(path) not in there.get(os.path.dirname(path), ())
    ]
    if not absent:
        return NamedFiles(paths)
    wanted = [template.replace("{}", _without_query(values[row])) for row in absent]
    found = _found_by_name(wanted, place) if place.is_dir() else {}
    if len(found) < len(set(wanted)):
        found |= {name: where for name, where in _found_by_name(wanted, root).items() if name not in found}
    missing = [row for row, name in zip(absent, wanted, strict=True) if found.get(name) is None]
    if missing:
        raise _missing(values, paths, missing, kind, several=any(name in found for name in wanted), by_name=found)
    for row, name in zip(absent, wanted, strict=True):
        paths[row] = str(found[name])
    example, at = values[absent[0]], os.path.relpath(paths[absent[0]], root)
    note = (
        f"{len(absent)} of {len(paths)} {kind}s are found by file name, which is unique, as no file is where the table "
        f"says: {quoted(example)} is {quoted(at)}."
    )
    return NamedFiles(paths, tuple(absent), note)


def _found_by_name(wanted: Sequence[str], folder: Path) -> dict[str, str | None]:
    """Wanted path -> the one file below ``folder`` that it must be; None where several could be.

    Small and capital letters are one; of several files of a name, the one whose folders agree. Where no file has the
    name, another ending is taken, as after converting all, and 007.png for 7, as spreadsheets drop zeros.
    """
    places = image_places(folder)
    names = Counter(base_name(place).lower() for place in places)
    stems = Counter(stem_of(place) for place in places)
    by_place = {_as_found(place): place for place in places}
    by_name = {base_name(place).lower(): place for place in places}
    by_stem = {stem_of(place): place for place in places}
    padded = have_zeros_before(places)
    found: dict[str, str | None] = {}
    for name in set(wanted):
        place = by_place.get(_as_found(name))
        count = names[base_name(name).lower()]
        if place is None and count == 1:
            place = by_name[base_name(name).lower()]
        elif (
            place is None and not count and (ending_of(name) in IMAGE_SUFFIXES or (padded and stem_of(name).isdigit()))
        ):
            count = stems[stem_of(name)]
            place = by_stem[stem_of(name)] if count == 1 else None
        if place is not None:
            found[name] = os.path.join(folder, place)
        elif count > 1:
            found[name] = None
    return found


def _missing(
    values: Sequence[str],
    paths: Sequence[str],
    missing: Sequence[int],
    kind: str,
    *,
    several: bool,
    by_name: dict[str, str | None],
) -> UserError:
    shared = sum(where is None for where in by_name.values())
    if several and shared:
        return UserError(
            f"table: {len(missing)} rows name an {kind} that is not there, for example {quoted(values[missing[0]])}, "
            f"and {shared} of their names are those of several files; write paths below the table's folder"
        )
    hint = "; add the files, or leave the rows out"
    if ending_of(paths[missing[0]]) not in IMAGE_SUFFIXES:
        hint = f"; if the column has no file ending, set the option {kind}_file, for example to {{}}.png"
    return UserError(
        f"table: {len(missing)} rows name an {kind} that is not there, for example {quoted(paths[missing[0]])}{hint}"
    )
