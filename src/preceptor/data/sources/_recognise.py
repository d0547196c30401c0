"""Which source, with which options, reads a folder: looked up by what lies there, never by decoding images."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from preceptor.data.layouts import GENERAL, PUBLISHED, FolderLayout
from preceptor.data.name_rules import groups_by_name
from preceptor.data.sources import _recognise_table as tables
from preceptor.data.sources._layout import (
    MASK_NAME,
    contents,
    entries,
    image_names,
    image_places,
    images_below,
    is_mask_folder,
    some_of,
)
from preceptor.data.sources._sorting import sort_files
from preceptor.data.sources._tables import TABLES
from preceptor.data.sources.breakhis import BINARY
from preceptor.data.sources.folder import part_word
from preceptor.data.sources.ham10000 import TABLES as HAM_TABLES
from preceptor.data.sources.kather2016 import CLASSES, FOLDER
from preceptor.data.sources.lgg import CASE
from preceptor.data.sources.pannuke import fold_arrays
from preceptor.data.sources.pcam import PREFIX
from preceptor.errors import UserError
from preceptor.opening import require_file
from preceptor.quoting import quoted, shown

_NEARLY_ALL = 0.9
_LIES = "the data lie in "
_SAMPLE = 200  # of many files, looked at before all are
_FEWEST_GROUPS = 5  # so many folders below the classes may be patients; fewer are rather something else


@dataclass(frozen=True)
class Recognised:
    """A source and the options with which it reads a path.

    Args:
        key: of the source.
        options: to give it besides the path.
        reasons: what was seen, and what was guessed from it.
        path: what the source reads, where it is a folder below the one that was given.
    """

    key: str
    options: dict[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    path: Path | None = None


def recognise(path: Path) -> Recognised:
    """The source that reads ``path``.

    Raises:
        UserError: no known layout; says what is there.
    """
    if path.exists() and not path.is_dir():
        return _of_file(path)
    folders, files = entries(path)
    places = image_places(path)
    found = (
        _published(path, folders, files)
        or _by_layouts(PUBLISHED, places)
        or _inside(path, folders, files)
        or _pairs(path, folders)
        or _by_layouts([layout for layout in GENERAL if layout.mask], places)
    )
    if found is not None:
        return found
    classes = (
        _pairs_by_affixes(path)
        or _by_layouts([layout for layout in GENERAL if not layout.mask], places)
        or _classes(path, folders)
    )
    by_table = tables.recognise_table(path, must=classes is None)
    if by_table is not None:
        return Recognised("table", *by_table)
    if classes is not None:
        return classes
    raise UserError(
        f"{quoted(path)} has no known layout.\n  saw: {contents(path)}\n"
        "  expected: a published data set, one folder of images per class, images and masks in folders or side by\n"
        "  side, or a table beside the images; name the layout with --source, its options with --option name=value.\n"
        "  Images alone, without labels: --source images"
    )


def _of_file(path: Path) -> Recognised:
    require_file(path, "data")
    if path.suffix == ".npz":
        return Recognised("medmnist", {}, ("a .npz file",))
    if path.suffix.lower() in TABLES:
        return Recognised("table", *tables.table_options(path.parent, path.name, is_file=True))
    raise UserError(f"{quoted(path)} is a file: a folder, a table ({', '.join(TABLES)}) or a .npz file was expected")


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
        ("ham10000", bool({*HAM_TABLES} & {*files}), HAM_TABLES[0].partition(".")[0]),
        (
            "histopathologic_cancer",
            "train_labels.csv" in files and "train" in folders,
            "train/ and train_labels.csv",
        ),
        ("breakhis", bool({"BreaKHis_v1", "histology_slides"} & set(folders)), "the BreaKHis_v1 tree"),
        ("breakhis", set(BINARY) <= set(folders) and "SOB" in inside("benign"), "benign/SOB and malignant/"),
        ("lgg", any(CASE.fullmatch(name) for name in cases), "folders TCGA_<site>_<patient>_<date>"),
        ("dsb2018", bool(first) and _is_bowl(images / first[0]), "folders <id> with images/<id> and masks/"),
        ("pannuke", bool(fold_arrays(path)), "arrays of folds (fold1 …)"),
        ("medmnist", any(name.endswith(".npz") for name in files), ".npz files"),
    )
    return next((Recognised(key, {}, (f"saw {what}",)) for key, holds, what in tests if holds), None)


def _is_bowl(folder: Path) -> bool:
    """Whether ``folder`` has one image that is called like itself, and masks."""
    return {"images", "masks"} <= set(entries(folder)[0]) and list(images_below(folder / "images")) == [folder.name]


def _by_layouts(layouts: "tuple[FolderLayout, ...] | list[FolderLayout]", places: list[str]) -> Recognised | None:
    return next((Recognised(layout.key, {}, (_seen(layout),)) for layout in layouts if _fits(layout, places)), None)


def _seen(layout: FolderLayout) -> str:
    other = [task for task in layout.tasks if task != layout.task]
    also = f"; read for {layout.task}, --option task={other[0]} reads it for that" if other else ""
    return f"saw {layout.title}{also}"


def _fits(layout: FolderLayout, places: list[str]) -> bool:
    """Whether nearly all image files are what the layout knows, and nearly all images have masks where it wants them.

    Of many files a part is looked at first: most layouts know none of them.
    """
    step = max(1, len(places) // _SAMPLE)
    if step > 1:
        some = sort_files(layout, places[::step])
        if len(some.others) > len(places[::step]) / 2:
            return False
    found = sort_files(layout, places)
    if not found.images or len(found.others) > (1 - _NEARLY_ALL) * len(places):
        return False
    groups = {brackets["group"] for brackets in found.images.values() if "group" in brackets}
    if len(groups) < layout.fewest_groups:
        return False
    if layout.task == "classification":
        return len({brackets["class"] for brackets in found.images.values()}) > 1
    masked_parts = {brackets.get("part") for brackets in found.masks.values()}
    pairs = [
        (images, masks)
        for images, masks in found.pairs().values()
        if masks or found.images[images[0]].get("part") in masked_parts
    ]
    both = sum(bool(images) and bool(masks) for images, masks in pairs)
    return both > 0 and both >= _NEARLY_ALL * len(pairs)


def _inside(path: Path, folders: list[str], files: list[str]) -> Recognised | None:
    """What is in the one folder that holds everything, as archives unpack."""
    if _are_data(path, files):
        return None
    holding = [name for name in folders if _holds_data(path / name)]
    if len(holding) != 1 or part_word(holding[0]):
        return None
    try:
        found = recognise(path / holding[0])
    except UserError:
        return None
    where = found.path or path / holding[0]
    said = f"{_LIES}{shown(os.path.relpath(where, path))}/"
    return replace(found, path=where, reasons=(said, *(one for one in found.reasons if not one.startswith(_LIES))))


def _holds_data(folder: Path) -> bool:
    folders, files = entries(folder)
    return _are_data(folder, files) or any(_holds_data(folder / name) for name in folders)


def _are_data(folder: Path, files: list[str]) -> bool:
    archives = (*TABLES, ".npz", ".h5", ".gz")
    return bool(image_names(folder, files)) or any(name.lower().endswith(archives) for name in files)


def _pairs(path: Path, folders: list[str]) -> Recognised | None:
    """An image folder and a mask folder with the same names in them, here or in folders named as parts."""
    for below in [path, *(path / name for name in folders if part_word(name))]:
        for images, masks, stems in _candidates(below):
            suffix = _suffix(stems[images], stems[masks])
            if suffix is None:
                continue
            options: dict[str, Any] = {"images": images, "masks": masks}
            options = {name: value for name, value in options.items() if name != value}
            if suffix:
                options["mask_suffix"] = suffix
            reasons = [f"saw images in {images}/ and masks of the same names in {masks}/"]
            inner = {os.path.dirname(stem).split(os.sep)[0] for stem in stems[images]}
            if all(map(part_word, inner)):
                continue  # images/train/: a layout of its own
            names = [os.path.basename(stem) for stem in stems[images]]
            if "" not in inner and len(inner) > 1 and groups_by_name(names).groups is None:
                options |= {"group_from": "folder", "grouping": "folder"}
                reasons.append(_guessed_groups(len(inner), f"{images}/"))
            return Recognised("folder", options, tuple(reasons))
    return None


def _pairs_by_affixes(path: Path) -> Recognised | None:
    """An image folder and a mask folder whose names differ in what all of a folder begin and end with."""
    for images, masks, stems in _candidates(path, by_affix=True):
        rules = [(name, *_affixes(stems[name])) for name in (images, masks)]
        keys = [{stem[len(begin) : len(stem) - len(end)] for stem in stems[name]} for name, begin, end in rules]
        if keys[0] != keys[1] or len(keys[0]) < 2:
            continue
        options = {
            kind: rf"{_literal(name)}/{_literal(begin)}(?P<key>.+){_literal(end)}\.[^./]+"
            for kind, (name, begin, end) in zip(("image", "mask"), rules, strict=True)
        }
        return Recognised("paths", options, (f"saw images in {images}/ and masks in {masks}/, paired by their names",))
    return None


def _candidates(path: Path, *, by_affix: bool = False) -> Iterator[tuple[str, str, dict[str, set[str]]]]:
    """Folders that may hold images, and masks of them, with the names in every folder.

    Args:
        by_affix: a folder also holds masks where all names in it end as those of masks do.
    """
    stems = {name: set(images_below(path / name)) for name in entries(path)[0]}
    marks = [
        name
        for name in stems
        if stems[name]
        and (MASK_NAME.search(name) or is_mask_folder(name) or (by_affix and is_mask_folder(_affixes(stems[name])[1])))
    ]
    for masks in marks:
        for images in stems:
            if stems[images] and images not in marks:
                yield images, masks, stems


def _guessed_groups(count: int, where: str) -> str:
    return (
        f"guessed: the {count} folders below {where}, those of one name joined, are groups (patients), which a split "
        "keeps together; --option group_from=name if they are not"
    )


def _literal(text: str) -> str:
    """``text`` as an expression that means itself, brackets and dots only made plain: it is shown to users."""
    return "".join(f"\\{letter}" if letter in r"\.^$*+?{}[]|()" else letter for letter in text)


def _affixes(stems: set[str]) -> tuple[str, str]:
    """What all names begin and end with, up to digits, which may tell images apart."""
    begin = _common_start(stems).rstrip("0123456789")
    end = _common_start({stem[len(begin) :][::-1] for stem in stems})[::-1]
    return begin, end.lstrip("0123456789")


def _common_start(texts: set[str]) -> str:
    first, last = min(texts), max(texts)  # whatever these two share, all share
    shared = (number for number, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return first[: next(shared, min(len(first), len(last)))]


def _suffix(images: set[str], masks: set[str]) -> str | None:
    """What the names of masks have after those of images; None where they do not pair at all."""
    if images & masks:
        return ""
    stem = min(masks)
    found = (stem[len(image) :] for image in sorted(images, key=len, reverse=True) if stem.startswith(image))
    suffix = next(found, None)
    if suffix is None:
        return None
    paired = sum(mask.removesuffix(suffix) in images for mask in masks if mask.endswith(suffix))
    return suffix if paired >= len(masks) / 2 else None


def _classes(path: Path, folders: list[str]) -> Recognised | None:
    """Folders that are classes, here or in folders named as parts."""
    below = {name: images_below(path / name) for name in folders}
    holding = [name for name in folders if below[name]]
    parts = [name for name in holding if part_word(name)]
    deeper = [name for name in parts if any("/" in stem for stem in below[name])]
    if deeper and any(part_word(name) == "train" for name in deeper):
        return Recognised("folder", {}, (f"saw class folders in {some_of(deeper)}",))
    of_masks = [name for name in holding if is_mask_folder(name)]
    if len(holding) < 2 or deeper or (of_masks and len(of_masks) < len(holding)):
        return None
    inner = {(name, stem.split(os.sep)[0]) for name in holding for stem in below[name] if os.sep in stem}
    if any(is_mask_folder(name) or name == "images" for _, name in inner):
        return None
    why = f"saw {len(holding)} folders of images, taken as classes"
    is_nested = all(os.sep in stem for name in holding for stem in below[name])
    stems = [os.path.basename(stem) for name in holding for stem in below[name]]
    if not is_nested or len(inner) < _FEWEST_GROUPS or groups_by_name(stems).groups is not None:
        return Recognised("folder", {}, (why,))
    options = {"group_from": "folder", "grouping": "folder"}
    of_groups = {name for _, name in inner}
    said: tuple[str, ...] = (why, _guessed_groups(len(of_groups), "the classes"))
    if len(inner) == len(holding) * len(of_groups):
        said += (
            f"each of {some_of(holding)} holds {some_of(of_groups)}: if these are the classes, and the folders above "
            "them folds or patients, give a table with columns image, label and group instead (--source table)",
        )
    return Recognised("folder", options, said)
