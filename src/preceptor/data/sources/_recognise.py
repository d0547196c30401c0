"""Which source, with which options, reads a folder: looked up by what lies there, never by decoding images."""

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from preceptor.data.layouts import GENERAL, PUBLISHED, FolderLayout
from preceptor.data.name_rules import groups_by_name
from preceptor.data.sources import _recognise_table as tables
from preceptor.data.sources._layout import (
    contents,
    entries,
    image_names,
    image_places,
    images_below,
    is_image_folder,
    is_mask_folder,
    is_mask_name,
    some_of,
)
from preceptor.data.sources._recognise_pairs import (
    guessed_groups,
    pairs_by_affixes,
    pairs_in_one_folder,
    pairs_of_folders,
    pairs_of_many_folders,
)
from preceptor.data.sources._recognised import Recognised
from preceptor.data.sources._sorting import sort_files
from preceptor.data.sources._tables import TABLES
from preceptor.data.sources._unread import UNREAD
from preceptor.data.sources.breakhis import BINARY
from preceptor.data.sources.folder import part_word
from preceptor.data.sources.ham10000 import TABLES as HAM_TABLES
from preceptor.data.sources.kather2016 import CLASSES, FOLDER
from preceptor.data.sources.lgg import CASE
from preceptor.data.sources.pannuke import fold_arrays
from preceptor.data.sources.pcam import PREFIX
from preceptor.data.tree import files_below
from preceptor.errors import UserError
from preceptor.opening import require_file
from preceptor.quoting import quoted, shown

_NEARLY_ALL = 0.9
_LIES = "the data lie in "
_SAMPLE = 200  # of many files, looked at before all are
_FEWEST_GROUPS = 5  # so many folders below the classes may be patients; fewer are rather something else


def recognise(path: Path) -> Recognised:
    """The source that reads ``path``.

    Raises:
        UserError: no known layout; says what is there.
    """
    if path.exists() and not path.is_dir():
        return _of_file(path)
    found = _known(path)
    if found is not None:
        return found
    raise UserError(
        f"{quoted(path)} has no known layout.\n  saw: {contents(path)}\n"
        "  expected: a published data set, one folder of images per class, images and masks in folders or side by\n"
        "  side, or a table beside the images; name the layout with --source, its options with --option name=value.\n"
        "  Any other: two rules, --source paths --option image=EXPRESSION --option mask=EXPRESSION (docs/sources.md).\n"
        f"  Images alone, without labels: --source images{_hints(path)}"
    )


def _known(path: Path) -> Recognised | None:
    """The source that reads the folder ``path``; None where none does."""
    folders, files = entries(path)
    places = image_places(path)
    found = (
        _published(path, folders, files)
        or _by_layouts(PUBLISHED, places)
        or _inside(path, folders, files)
        or _by_layouts([layout for layout in GENERAL if layout.fewest_parts], places)
        or pairs_of_many_folders(path)
        or pairs_of_folders(path, folders)
        or _by_layouts([layout for layout in GENERAL if layout.mask], places)
    )
    if found is not None:
        is_own = found.path is None and found.key in ("folder", "paths", *(layout.key for layout in GENERAL))
        return _with_unread(found, files) if is_own else found
    classes = (
        pairs_by_affixes(path)
        or pairs_in_one_folder(places)
        or _by_layouts([layout for layout in GENERAL if not layout.mask], places)
        or _classes(path, folders)
    )
    by_table = tables.recognise_table(path, must=classes is None)
    if by_table is not None:
        options, reasons = by_table
        if classes is not None:
            reasons = (*reasons, f"also {classes.reasons[0]}: --source {classes.key} reads that instead")
        return Recognised("table", options, reasons)
    return None if classes is None else _with_unread(classes, files)


def _with_unread(found: Recognised, files: list[str]) -> Recognised:
    """``found``, saying which tables lie beside what it reads."""
    unread = [name for name in files if name.lower().endswith(TABLES)]
    said = (f"{some_of(unread)} beside it: not read; --source table reads it",) if unread else ()
    return replace(found, reasons=(*found.reasons, *said))


def _hints(path: Path) -> str:
    """What may help where nothing is known: files that are not read, and folders that are."""
    lines = []
    try:
        found = [one.place for one in files_below(path) if not one.left_behind]
        readable = [name for name in entries(path)[0] if _is_readable(path / name)]
    except UserError:
        return ""
    for what, (endings, advice) in UNREAD.items():
        those = [place for place in found if place.lower().endswith(endings)]
        if those:
            lines.append(
                f"{quoted(those[0])}{f' and {len(those) - 1} more' if len(those) > 1 else ''}: {what}; {advice}"
            )
    if readable:
        several = " (one at a time)" if len(readable) > 1 else ""
        lines.append(f"known is what lies in {some_of([f'{name}/' for name in readable])}: give that folder{several}")
    return "".join(f"\n  {line}" for line in lines)


def _is_readable(folder: Path) -> bool:
    try:
        return _known(folder) is not None
    except UserError:
        return False


def _of_file(path: Path) -> Recognised:
    require_file(path, "data")
    if path.suffix == ".npz":
        return Recognised("medmnist", {}, ("a .npz file",))
    if path.suffix.lower() in TABLES:
        return Recognised("table", *tables.table_options(path.parent, path.name, is_file=True))
    for what, (endings, advice) in UNREAD.items():
        if path.name.lower().endswith(endings):
            raise UserError(f"{quoted(path)} is a file of {what}: {advice}")
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
    parts = {brackets["part"] for brackets in found.masks.values() if "part" in brackets}
    if len(groups) < layout.fewest_groups or len(parts) < layout.fewest_parts:
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
        found = _known(path / holding[0])
    except UserError:
        return None
    if found is None:
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


def _classes(path: Path, folders: list[str]) -> Recognised | None:
    """Folders that are classes, here or in folders named as parts."""
    below = {name: images_below(path / name) for name in folders}
    holding = [name for name in folders if below[name]]
    parts = [name for name in holding if part_word(name)]
    deeper = [name for name in parts if any("/" in stem for stem in below[name])]
    if deeper and any(part_word(name) == "train" for name in deeper):
        stems: dict[str, list[str]] = {}
        for stem in (stem for name in deeper for stem in below[name]):
            stems.setdefault(stem.partition("/")[0], []).append(stem.partition("/")[2])
        return _with_patients(f"saw class folders in {some_of(deeper)}", stems) if len(stems) > 1 else None
    of_masks = [name for name in holding if is_mask_folder(name)]
    if len(holding) < 2 or deeper or (of_masks and len(of_masks) < len(holding)):
        return None
    inner = {stem.split(os.sep)[0] for name in holding for stem in below[name] if os.sep in stem}
    if any(is_mask_folder(name) or name == "images" for name in inner) or _have_masks(below[name] for name in holding):
        return None
    of_images = [name for name in holding if is_image_folder(name)]
    if of_images:
        return _beside(path, of_images, holding)
    return _with_patients(f"saw {len(holding)} folders of images, taken as classes", {n: below[n] for n in holding})


def _have_masks(folders: Iterable[Collection[str]]) -> bool:
    """Whether nearly every folder has files that are called like masks, beside others."""
    found = [[is_mask_name(os.path.basename(stem)) for stem in stems] for stems in folders]
    return sum(any(are) and not all(are) for are in found) >= _NEARLY_ALL * len(found)


def _beside(path: Path, of_images: list[str], holding: list[str]) -> Recognised | None:
    """The classes in the one folder that is called images; what lies beside it is something else."""
    if len(of_images) > 1:
        return None
    others = some_of([f"{name}/" for name in holding if name not in of_images])
    found = _classes(path / of_images[0], entries(path / of_images[0])[0])
    if found is None:
        return None
    said = f"{_LIES}{shown(of_images[0])}/; {others} beside it: not used"
    return replace(found, path=found.path or path / of_images[0], reasons=(said, *found.reasons))


def _with_patients(why: str, stems: Mapping[str, Collection[str]]) -> Recognised:
    """Class folders, which hold these images; folders in them may be patients."""
    inner = {(name, stem.split(os.sep)[0]) for name, held in stems.items() for stem in held if os.sep in stem}
    is_nested = all(os.sep in stem for held in stems.values() for stem in held)
    names = [os.path.basename(stem) for held in stems.values() for stem in held]
    if not is_nested or len(inner) < _FEWEST_GROUPS or groups_by_name(names).groups is not None:
        return Recognised("folder", {}, (why,))
    of_groups = {name for _, name in inner}
    said = [why, guessed_groups(len(of_groups), "the classes")]
    if len(inner) == len(stems) * len(of_groups):
        said.append(
            f"each of {some_of(set(stems))} holds {some_of(of_groups)}: if these are the classes, and the folders "
            "above them folds or patients, give a table with columns image, label and group instead (--source table)"
        )
    elif not any(letter.isdigit() for name in of_groups for letter in name):
        said.append(
            f"if {some_of(of_groups)} are the classes: --source paths "
            "--option 'image=(?:.+/)?(?P<class>[^/]+)/(?P<key>[^/]+)'"
        )
    return Recognised("folder", {"group_from": "folder", "grouping": "folder"}, tuple(said))
