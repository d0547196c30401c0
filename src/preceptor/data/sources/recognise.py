"""Which source, with which options, reads a folder: looked up by what lies there, never by decoding images."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from preceptor.data.pixels.endings import parted
from preceptor.data.sources._layout import MASK_NAME, contents, entries, image_names, named, read_table
from preceptor.data.sources.breakhis import BINARY
from preceptor.data.sources.folder import part_word
from preceptor.data.sources.ham10000 import TABLE
from preceptor.data.sources.kather2016 import CLASSES, FOLDER
from preceptor.data.sources.lgg import CASE
from preceptor.data.sources.pcam import PREFIX
from preceptor.data.sources.table import PART_WORDS
from preceptor.errors import UserError
from preceptor.opening import require_file
from preceptor.quoting import quoted

_LABEL_NAME = re.compile(r"label|class|diagnos|^dx$|type|categor|target|grade|tissue", re.IGNORECASE)
_GROUP_NAME = re.compile(r"patient|subject|case|lesion|slide|wsi|specimen|donor|group", re.IGNORECASE)
_MOST_CLASSES = 100


@dataclass(frozen=True)
class Recognised:
    """A source and the options with which it reads a path.

    Args:
        key: of the source.
        options: to give it besides the path.
        reasons: what was seen, and what was guessed from it.
    """

    key: str
    options: dict[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()


def recognise(path: Path) -> Recognised:
    """The source that reads ``path``.

    Raises:
        UserError: no known layout; says what is there.
    """
    if path.exists() and not path.is_dir():
        require_file(path, "data")
        if path.suffix == ".npz":
            return Recognised("medmnist", {}, ("a .npz file",))
        if path.suffix.lower() in (".csv", ".tsv"):
            return _table(path.parent, path.name)
        raise UserError(f"{quoted(path)} is a file: a folder, a .csv or a .npz file was expected")
    folders, files = entries(path)
    found = _published(path, folders, files) or _pairs(path, folders)
    if found is not None:
        return found
    tables = [name for name in files if name.lower().endswith((".csv", ".tsv"))]
    classes = _classes(path, folders)
    if len(tables) == 1:
        try:
            return _table(path, tables[0])
        except UserError:
            if classes is None:
                raise
    if classes is not None:
        return classes
    raise UserError(
        f"{quoted(path)} has no known layout.\n  saw: {contents(path)}\n"
        "  expected: a published data set, one folder of images per class, a folder of images beside one of masks,\n"
        "  or a CSV beside the images; name the layout with --source and its options with --option name=value"
    )


def _published(path: Path, folders: list[str], files: list[str]) -> Recognised | None:
    def inside(name: str) -> list[str]:
        return entries(path / name)[0]

    cases = inside("kaggle_3m") if "kaggle_3m" in folders else folders
    images = path / "stage1_train" if "stage1_train" in folders else path
    first = [name for name in entries(images)[0] if part_word(name) is None][:1]
    tests: tuple[tuple[str, bool, str], ...] = (
        (
            "kather2016",
            set(CLASSES) <= set(folders) or (FOLDER in folders and set(CLASSES) <= set(inside(FOLDER))),
            "the eight folders 01_TUMOR to 08_EMPTY",
        ),
        ("pcam", any(name.startswith(PREFIX) for name in files), f"files {PREFIX}_*"),
        ("ham10000", TABLE in files, TABLE),
        (
            "histopathologic_cancer",
            "train_labels.csv" in files and "train" in folders,
            "train/ and train_labels.csv",
        ),
        ("breakhis", bool({"BreaKHis_v1", "histology_slides"} & set(folders)), "the BreaKHis_v1 tree"),
        ("breakhis", set(BINARY) <= set(folders) and "SOB" in inside("benign"), "benign/SOB and malignant/"),
        ("lgg", any(CASE.fullmatch(name) for name in cases), "folders TCGA_<site>_<patient>_<date>"),
        (
            "dsb2018",
            bool(first) and {"images", "masks"} <= set(entries(images / first[0])[0]),
            "folders <id> with images/ and masks/",
        ),
        ("medmnist", any(name.endswith(".npz") for name in files), ".npz files"),
    )
    return next((Recognised(key, {}, (f"saw {what}",)) for key, holds, what in tests if holds), None)


def _pairs(path: Path, folders: list[str]) -> Recognised | None:
    """An image folder and a mask folder with the same names in them, here or in folders named as parts."""
    for below in [path, *(path / name for name in folders if part_word(name))]:
        stems = {name: _stems(below / name) for name in entries(below)[0]}
        marks = [name for name in stems if stems[name] and MASK_NAME.search(name)]
        pictures = [name for name in stems if stems[name] and name not in marks]
        for masks in marks:
            for images in pictures:
                suffix = _suffix(stems[images], stems[masks])
                if suffix is None:
                    continue
                options: dict[str, Any] = {"images": images, "masks": masks}
                options = {name: value for name, value in options.items() if name != value}
                if suffix:
                    options["mask_suffix"] = suffix
                return Recognised(
                    "folder", options, (f"saw images in {images}/ and masks of the same names in {masks}/",)
                )
    return None


def _classes(path: Path, folders: list[str]) -> Recognised | None:
    holding = [name for name in folders if _stems(path / name)]
    deeper = [
        name for name in folders if part_word(name) and any(_stems(path / name / k) for k in entries(path / name)[0])
    ]
    if len(holding) >= 2:
        return Recognised("folder", {}, (f"saw {len(holding)} folders of images, taken as classes",))
    nested = {name: {k for k in entries(path / name)[0] if _stems(path / name / k)} for name in folders}
    inner = [k for found in nested.values() for k in found]
    is_plain = not any(MASK_NAME.search(k) or k == "images" for k in inner) and not any(map(part_word, folders))
    if len(nested) >= 2 and all(nested.values()) and len(set(inner)) == len(inner) and is_plain:
        why = f"saw {len(nested)} folders, taken as classes, with {len(inner)} folders of images in them"
        return Recognised("folder", {}, (why,))
    if deeper:
        return Recognised("folder", {}, (f"saw class folders in {named(deeper)}",))
    return None


def _table(path: Path, name: str) -> Recognised:
    """Options for a CSV: the image column is the one that matches files, the rest goes by name and values."""
    rows = read_table(path / name)
    options: dict[str, Any] = {}
    if len([file for file in entries(path)[1] if file.lower().endswith((".csv", ".tsv"))]) > 1:
        options["csv"] = name
    places = [".", *(folder for folder in entries(path)[0] if image_names(entries(path / folder)[1]))]
    matches = [
        found for column in rows for place in places if (found := _matching(rows[column], path, place, str(column)))
    ]
    if not matches:
        raise UserError(
            f"{quoted(path / name)} has no column whose values are image files in {named(places)}.\n"
            f"  saw: columns {', '.join(map(str, rows.columns))}\n"
            "  say it with --source table --option image=COLUMN --option label=COLUMN --option image_folder=FOLDER"
        )
    matches.sort(key=lambda match: match["ending"] != "")  # whole file names before names without ending
    masks = [match for match in matches if MASK_NAME.search(f"{match['column']} {match['folder']}")]
    image = next((match for match in matches if match not in masks), matches[0])
    mask = next((match for match in masks if match is not image), None)
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
    if mask is None:
        options["label"] = _label(
            rows, [c for c in free if c not in (options.get("split"), options.get("group"))], name
        )
    told = ", ".join(f"{option} = {value}" for option, value in options.items())
    return Recognised("table", options, (f"saw {name} with {len(rows)} rows beside images; guessed: {told}",))


def _matching(values: "pd.Series[str]", path: Path, place: str, column: str) -> dict[str, str] | None:
    """How most of ``values`` name images of the folder ``place``, if they do; some may be missing or repeated."""
    files = image_names(entries(path / place)[1])
    if not files:
        return None
    endings = {"", *(os.path.splitext(file)[1] for file in files)}
    hits = {ending: int((values + ending).isin(files).sum()) for ending in endings}
    best = max(sorted(hits), key=lambda ending: hits[ending])
    if 2 * hits[best] <= len(values) or 2 * values.nunique() <= len(values):
        return None
    return {"column": column, "folder": place, "ending": best}


def _where(kind: str, match: dict[str, str]) -> dict[str, str]:
    options = {kind: match["column"], f"{kind}_folder": match["folder"], f"{kind}_file": f"{{}}{match['ending']}"}
    defaults = {f"{kind}_folder": ".", f"{kind}_file": "{}"}
    return {option: value for option, value in options.items() if defaults.get(option) != value}


def _label(rows: pd.DataFrame, free: list[str], name: str) -> str:
    """The class column: one that sounds like it first, names before numbers, more classes before fewer."""
    few = [column for column in free if 2 <= rows[column].nunique() <= min(_MOST_CLASSES, len(rows) // 2)]
    if not few:
        raise UserError(
            f"{name} has no column with a few different values that could be the class.\n"
            f"  saw: columns {', '.join(map(str, rows.columns))}\n"
            "  say it with --source table --option label=COLUMN"
        )

    def rank(column: str) -> tuple[bool, bool, int]:
        numbers = bool(pd.to_numeric(rows[column], errors="coerce").notna().all())
        return (_LABEL_NAME.search(column) is not None, not numbers, rows[column].nunique())

    return max(few, key=rank)


def _stems(folder: Path) -> set[str]:
    return {parted(name)[0] for name in image_names(entries(folder)[1])}


def _suffix(images: set[str], masks: set[str]) -> str | None:
    """What the names of masks have after those of images; None where they do not pair at all."""
    if images & masks:
        return ""
    stem = min(masks)
    return next((stem[len(image) :] for image in sorted(images, key=len, reverse=True) if stem.startswith(image)), None)
