"""Which columns of a table name images, masks, classes, groups and parts: guessed from names and values, and said."""

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from preceptor.data.masks.runs import EMPTY
from preceptor.data.pixels.endings import IMAGE_SUFFIXES, ending_of, parted
from preceptor.data.sources._layout import MASK_NAME, PART_WORDS, entries, image_names, image_places, some_of
from preceptor.data.sources._table_files import base_name, have_zeros_before, stem_of
from preceptor.data.sources._table_labels import number_or_none, zero_or_one
from preceptor.data.sources._tables import TABLES, read_table
from preceptor.errors import UserError
from preceptor.quoting import quoted, shown

_LABEL_NAME = re.compile(r"label|class|diagnos|^dx$|type|categor|target|grade|tissue", re.IGNORECASE)
_GROUP_NAME = re.compile(
    r"patient|subject|case|lesion|slide|wsi|specimen|donor|group|(?<![a-z])pat(?![a-z])", re.IGNORECASE
)
_ABOUT_IMAGES = re.compile(
    r"(?:sex|gender|race|ethnicity|eye|side|laterality|view|scanner|device|manufacturer|modality|site|cent(?:er|re)|"
    r"hospital|fold|format|(?:file|image)[_ ]?type)\b",
    re.IGNORECASE,
)
"""Columns that say something of patients or images, and are the class only where no other can be."""
_SITE_NAME = re.compile(
    r"^(site|hospital|cent(er|re)|institution|institute|scanner)([ _]?(id|name|code))?$", re.IGNORECASE
)
_MISNAMED = {frozenset({"InstanceID", "patientID", "ImageName", "cellTypeName"}): "image of origin"}
"""Columns of a published table -> what its groups most likely are, though the column is called otherwise.

CRCHistoPhenotypes: its patientID has more values than the paper has patients (nine).
"""
_RUNS = re.compile(r"[0-9]+ [0-9]+( [0-9]+ [0-9]+)*")
_MOST_CLASSES = 100
_FEWEST_ONE_HOT = 3  # two columns of 0 and 1 may be anything, unless each row has exactly one 1

TableOptions = tuple[dict[str, Any], tuple[str, ...]]


def recognise_table(path: Path, *, must: bool) -> TableOptions | None:
    """Options and reasons for the one table in ``path``, or in a folder of it, that names images there.

    Args:
        path: a folder.
        must: whether a table that cannot be read so is an error.

    Raises:
        UserError: several tables do, or, where one must, why the only one does not.
    """
    folders, files = entries(path)
    found = [name for name in files if name.lower().endswith(TABLES)]
    if not found:
        found = [
            f"{folder}/{name}"
            for folder in folders
            for name in entries(path / folder)[1]
            if name.lower().endswith(TABLES)
        ]
    fits: dict[str, TableOptions] = {}
    errors: list[UserError] = []
    for name in found:
        try:
            fits[name] = table_options(path, name)
        except UserError as error:
            errors.append(error)
    if len(fits) > 1:
        raise UserError(
            f"{quoted(path)} has several tables that name its images: {some_of(list(fits))}\n"
            f"  give one instead of the folder, for example {shown(os.path.join(path, min(fits)))}, or say which with\n"
            "  --source table --option csv=NAME and the options image and label; where both are needed, join them first"
        )
    if not fits and must and len(errors) == 1:
        raise errors[0]
    return next(iter(fits.values()), None)


def table_options(path: Path, name: str, *, is_file: bool = False) -> TableOptions:
    """Options for the table ``name`` below ``path``, and what was seen and guessed.

    Raises:
        UserError: no column names images, or none could be the class.
    """
    read = read_table(path / name)
    rows = read.rows
    if not len(rows):
        raise UserError(f"table {quoted(path / name)} has no rows below its first line")
    options: dict[str, Any] = {}
    beside = [file for file in entries(path)[1] if file.lower().endswith(TABLES)]
    if (len(beside) > 1 or name not in beside) and not is_file:
        options["csv"] = name
    places = [".", *(folder for folder in entries(path)[0] if image_names(path / folder, entries(path / folder)[1]))]
    runs = [str(column) for column in rows if _are_runs(rows[column])]
    once = {column: _naming(rows[column].drop_duplicates() if runs else rows[column]) for column in rows}
    matches = [
        found
        for column, values in once.items()
        for place in places
        if (found := _matching(values, path, place, str(column)))
    ]
    if not matches:
        everywhere = image_places(path)
        matches = [
            found for column, values in once.items() if (found := _matching_names(values, everywhere, str(column)))
        ] or [found for column, values in once.items() if (found := _matching_stems(values, everywhere, str(column)))]
    if not matches:
        raise UserError(
            f"{quoted(path / name)} has no column whose values are image files in {some_of(places)}.\n"
            f"  saw: columns {', '.join(map(str, rows.columns))}\n"
            "  say it with --source table --option image=COLUMN --option label=COLUMN --option image_folder=FOLDER"
        )
    matches.sort(key=lambda match: match["ending"] != "")  # whole file names before names without ending
    masks = [match for match in matches if MASK_NAME.search(f"{match['column']} {match['folder']}")]
    image = next((match for match in matches if match not in masks), matches[0])
    mask = _mask_beside(image, [match for match in masks if match is not image])
    options |= _where("image", image)
    taken = {image["column"]}
    if mask is not None:
        options |= {"mask": mask["column"], **_where("mask", mask)}
        taken.add(mask["column"])
    free = [str(column) for column in rows if column not in taken]
    for column in free:
        if set(rows[column].str.lower()) <= set(PART_WORDS):
            options["split"] = column
        elif _GROUP_NAME.search(column) and rows[column].nunique() > 1:
            options.setdefault("group", column)
        elif _SITE_NAME.match(column) and rows[column].replace("", None).nunique() > 1:
            options.setdefault("site", column)
    known = next((what for columns, what in _MISNAMED.items() if columns <= set(rows.columns)), None)
    if known and "group" in options:
        options["grouping"] = known
    if mask is None and runs:
        options |= _of_runs(rows, runs, [column for column in free if column not in options.values()])
    elif mask is None:
        free = [column for column in free if column not in (options.get("split"), options.get("group"))]
        others = [column for column in free if column != options.get("site")]
        if _may_hold_classes(rows, others):
            free = others
        else:
            options.pop("site", None)
        options["label"] = _one_hot(rows, free) or _label(rows, free, name)
    said = f"saw {name} with {len(rows)} rows beside images; guessed: {', '.join(options)}"
    given = {column for value in options.values() for column in ([value] if isinstance(value, str) else value)}
    left = [str(column) for column in rows if column not in given]
    return options, (
        f"{said}; columns not used: {', '.join(left[:6])}{', …' if len(left) > 6 else ''}" if left else said,
    )


def _naming(values: "pd.Series[str]") -> "pd.Series[str]":
    """The cells of a column that may name files; of one called like masks, those that hold something."""
    return values[values.str.strip() != ""] if MASK_NAME.search(str(values.name)) else values


def _mask_beside(image: dict[str, str], masks: list[dict[str, str]]) -> dict[str, str] | None:
    """The match that names the masks of ``image``: rather another column, a folder called so, another folder."""

    def rank(match: dict[str, str]) -> tuple[bool, bool, bool]:
        is_other = match["folder"] != image["folder"]
        return match["column"] != image["column"], MASK_NAME.search(match["folder"]) is not None, is_other

    return max(masks, key=rank, default=None)


def _matching(values: "pd.Series[str]", path: Path, place: str, column: str) -> dict[str, str] | None:
    """How most of ``values`` name images of the folder ``place``, if they do; some may be missing or repeated."""
    if place == "." and values.str.startswith("..").all():
        stand = values.map(lambda value: os.path.isfile(path / value)).mean()
        return {"column": column, "folder": ".", "ending": ""} if stand > 0.5 else None
    files = image_names(path / place, entries(path / place)[1])
    if not files:
        return None
    endings = {"", *(parted(file)[1] for file in files)}
    hits = {ending: int((values + ending).isin(files).sum()) for ending in endings}
    best = max(sorted(hits), key=lambda ending: hits[ending])
    if 2 * hits[best] <= len(values) or 2 * values.nunique() <= len(values):
        return None
    return {"column": column, "folder": place, "ending": best}


def _matching_names(values: "pd.Series[str]", places: list[str], column: str) -> dict[str, str] | None:
    """How most of ``values`` name images anywhere, by file name alone, in any case, as other computers' paths do."""
    if not len(values) or not places:
        return None
    names = Counter(base_name(place).lower() for place in places)
    folders = Counter(os.path.dirname(place) or "." for place in places)
    endings = sorted({"", *(parted(place)[1] for place in places)})
    wanted = values.map(base_name).str.lower()
    paths = set(map(str.lower, places))
    whole = values.str.replace("\\", "/").str.lower()

    def fits(ending: str) -> int:
        known = (wanted + ending.lower()).map(lambda name: names[name] == 1) | (whole + ending.lower()).isin(paths)
        return int(known.sum())

    hits = {ending: fits(ending) for ending in endings}
    best = max(endings, key=lambda ending: hits[ending])
    if 2 * hits[best] <= len(values) or 2 * values.nunique() <= len(values):
        return None
    stands = sum(value.replace("\\", "/") in set(places) for value in values.head(20))
    folder = next(iter(folders)) if len(folders) == 1 and not stands else "."
    return {"column": column, "folder": folder, "ending": best}


def _matching_stems(values: "pd.Series[str]", places: list[str], column: str) -> dict[str, str] | None:
    """The same for names with another ending, as where images were converted, and numbers without the zeros before."""
    wanted = values.map(stem_of)
    may_be = values.map(ending_of).isin(IMAGE_SUFFIXES) | (wanted.str.isdigit() & have_zeros_before(places))
    if not len(values) or not may_be.all():
        return None
    stems = Counter(map(stem_of, places))
    hits = int(wanted.map(lambda stem: stems[stem] == 1).sum())
    if 2 * hits <= len(values) or 2 * wanted.nunique() <= len(values):
        return None
    return {"column": column, "folder": ".", "ending": ""}


def _are_runs(values: "pd.Series[str]") -> bool:
    """Whether a column holds masks as runs: pairs of whole numbers, several in some row."""
    texts = values.str.strip()
    texts = texts[~texts.isin(EMPTY)]
    return bool(len(texts)) and bool(texts.str.fullmatch(_RUNS).all()) and bool((texts.str.count(" ") > 1).any())


def _of_runs(rows: pd.DataFrame, runs: list[str], free: list[str]) -> dict[str, Any]:
    """Options for columns of runs, one for each class where there are several, and the column of the classes."""
    if len(runs) > 1:
        return {"rle": runs}
    classes = [column for column in free if _LABEL_NAME.search(column) and 2 <= rows[column].nunique() <= _MOST_CLASSES]
    return {"rle": runs[0], **({"rle_class": classes[0]} if classes else {})}


def _where(kind: str, match: dict[str, str]) -> dict[str, str]:
    options = {kind: match["column"], f"{kind}_folder": match["folder"], f"{kind}_file": f"{{}}{match['ending']}"}
    defaults = {f"{kind}_folder": ".", f"{kind}_file": "{}"}
    return {option: value for option, value in options.items() if defaults.get(option) != value}


def _one_hot(rows: pd.DataFrame, free: list[str]) -> list[str] | None:
    """The columns of 0 and 1, one for each class; None where there are none, or a column of classes stands beside."""
    binary = [column for column in free if rows[column].map(zero_or_one).isin([0.0, 1.0]).all()]
    if len(binary) < 2:
        return None
    others = [column for column in free if column not in binary]
    if any(_LABEL_NAME.search(column) and 2 <= rows[column].nunique() <= _MOST_CLASSES for column in others):
        return None
    ones = rows[binary].map(zero_or_one).sum(axis=1)
    is_exact = bool((ones == 1).all())
    if any(_LABEL_NAME.search(column) for column in binary) and not is_exact:
        return None
    return binary if is_exact or len(binary) >= _FEWEST_ONE_HOT else None


def _probabilities(rows: pd.DataFrame, free: list[str]) -> list[str]:
    """Columns of numbers that add up to 1 in nearly every row; none where there are no such."""
    values = rows[free].map(number_or_none)
    columns = [column for column in free if values[column].notna().all() and values[column].between(0, 1).all()]
    adds_up = (values[columns].sum(axis=1) - 1).abs() < 0.01
    return columns if len(columns) > 1 and adds_up.mean() > 0.9 else []


def _refuse_multi_label(rows: pd.DataFrame, free: list[str], name: str) -> None:
    """UserError where columns hold 1, 0, -1 or nothing for each of several findings, of which an image has several."""
    values = rows[free].map(lambda value: number_or_none(value or "0"))
    columns = [column for column in free if values[column].isin([-1, 0, 1]).all() and values[column].nunique() > 1]
    if len(columns) >= _FEWEST_ONE_HOT and bool(((values[columns] == 1).sum(axis=1) > 1).any()):
        raise UserError(
            f"{name} has several 1s in some rows of the columns {some_of(columns)}, so it is multi-label: several "
            "classes for one image, for which there is no training here;\n  take one finding: --source table --option "
            f"label={shown(columns[0])}, with the option image"
        )


def _with_few_values(rows: pd.DataFrame, columns: list[str]) -> list[str]:
    return [column for column in columns if 2 <= rows[column].nunique() <= min(_MOST_CLASSES, len(rows) // 2)]


def _may_hold_classes(rows: pd.DataFrame, columns: list[str]) -> bool:
    """Whether one of ``columns`` may be the class, or says why there is none."""
    is_named = any(_LABEL_NAME.search(column) for column in columns)
    return is_named or bool(_with_few_values(rows, columns) or _probabilities(rows, columns))


def _label(rows: pd.DataFrame, free: list[str], name: str) -> str:
    """The class column: one that sounds like it first, names before numbers, more classes before fewer."""
    few = _with_few_values(rows, free)
    if not any(_LABEL_NAME.search(column) for column in few):
        _refuse_multi_label(rows, free, name)
    chances = _probabilities(rows, free) if not few else []
    if chances:
        raise UserError(
            f"{name} holds probabilities in the columns {', '.join(chances)}, which add up to 1 in each row: one class "
            "for each image was expected; give a column with the class, or 0 and 1 instead of probabilities"
        )
    alone = [column for column in free if _LABEL_NAME.search(column) and rows[column].nunique() == 1]
    if not few and alone:
        raise UserError(
            f"column {alone[0]} of {name} has one class, {quoted(rows[alone[0]].iloc[0])}: two or more were expected"
        )
    if not few:
        raise UserError(
            f"{name} has no column with a few different values that could be the class.\n"
            f"  saw: columns {', '.join(map(str, rows.columns))}\n"
            "  say it with --source table --option label=COLUMN"
        )

    def rank(column: str) -> tuple[bool, bool, bool, int]:
        numbers = bool(pd.to_numeric(rows[column], errors="coerce").notna().all())
        is_about = _ABOUT_IMAGES.match(column) is not None
        return (not is_about, _LABEL_NAME.search(column) is not None, not numbers, rows[column].nunique())

    return max(few, key=rank)
