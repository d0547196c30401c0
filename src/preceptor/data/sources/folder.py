"""Plain folders: one folder per class, or a folder of images beside a folder of masks."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from preceptor.data.images import FileReader
from preceptor.data.name_rules import alike, groups_by_name, own_group_each
from preceptor.data.patterns import found_in_all
from preceptor.data.pixels.endings import parted
from preceptor.data.samples import SampleTable, sample_frame
from preceptor.data.sources._layout import (
    AS_UNLABELLED,
    NO_GROUPS,
    PART_WORDS,
    Part,
    contents,
    entries,
    folder_at,
    image_names,
    images_below,
    is_mask_folder,
    matched,
    refuse,
    some_of,
    tree,
)
from preceptor.data.tree import files_below
from preceptor.errors import UserError
from preceptor.quoting import quoted, shown


def folder(
    path: Path,
    *,
    images: str = "images",
    masks: str = "masks",
    mask_suffix: str = "",
    classes: tuple[str, ...] | None = None,
    parts: Mapping[str, Part] | None = None,
    group: str | None = None,
    group_from: Literal["name", "folder"] = "name",
    grouping: str = "group",
    unpaired: Literal["error", "unlabelled"] = "error",
) -> SampleTable:
    """Class folders, or an image folder and a mask folder; either also below train, validation and test folders.

    Folders are parts where each holds class folders or an image and a mask folder, and each is called
    train, training, val, valid, validation, test or testing, alone or as a word of the name
    (``MoNuSegTrainData``).

    Args:
        path: the folder of all this.
        images, masks: names of the image folder and the mask folder.
        mask_suffix: what the name of a mask has after that of its image, for example ``_mask``.
        classes: class folders in the order of their labels (default: by name), or names of the mask
            values, background first (default: background, foreground).
        parts: folder name -> ``train``, ``validation`` or ``test``, where the names do not say it.
        group: regular expression searched in the file name without ending; its first bracket, or all
            that it matches, is the group. Without it, names that follow a published scheme
            (``data/name_rules.py``) tell the groups, which is said.
        group_from: ``folder`` takes the group from the folder below the class or image folder that an image
            lies in (``<class>/<patient>/<image>``), the whole name or what ``group`` finds in it.
        grouping: what such a group is, for example ``patient``.
        unpaired: what to do with images without a mask: ``unlabelled`` takes them as images that have none, for
            networks to learn from what others say of them.
    """
    root = folder_at(path, "folder")
    found = find_parts(root, images, masks, parts)
    pairs = [_is_pair(below, images, masks) for below in found.values()]
    if any(pairs) != all(pairs):
        raise refuse("folder", root, "image and mask folders in some parts only", "the same layout in every part")
    if all(pairs):
        rows = _pairs(found, images, masks, mask_suffix, unpaired)
    else:
        rows = _by_class(root, found, images, masks, classes)
    names = classes or (("background", "foreground") if all(pairs) else rows.classes)
    reader = FileReader(tuple(rows.images), tuple(rows.masks) if all(pairs) else None, len(names))
    groups, what, notes = groups_of(rows.images, rows.below, group, group_from, grouping)
    return SampleTable(
        source="folder",
        task="segmentation" if all(pairs) else "classification",
        classes=names,
        frame=sample_frame(
            rows.ids,
            [os.path.relpath(file, root) for file in rows.images],
            labels=rows.labels or None,
            masks=[os.path.relpath(found[0], root) if found else None for found in rows.masks] or None,
            groups=groups,
            splits=rows.splits if any(rows.splits) else None,
            known=[bool(found) for found in rows.masks] or None,
        ),
        read=reader,
        grouping=what,
        files=reader.files,
        notes=notes,
    )


def find_parts(root: Path, images: str, masks: str, parts: Mapping[str, Part] | None = None) -> dict[Part | None, Path]:
    """Part -> its folder; None -> ``root`` where there are no parts."""
    folders = entries(root)[0]
    if parts is not None:
        absent = set(parts) - set(folders)
        if absent:
            raise UserError(
                f"folder: parts names {some_of(absent)}, which {quoted(root)} lacks: it has {contents(root)}"
            )
        if len(set(parts.values())) < len(parts):
            raise UserError(f"folder: parts gives one part to several folders: {dict(parts)}")
        return {part: root / name for name, part in parts.items()}
    holders = [
        name
        for name in folders
        if _is_pair(root / name, images, masks) or _has_class_folders(root / name, is_part=part_word(name) is not None)
    ]
    words = [part_word(name) for name in holders]
    if holders and "train" in words and None not in words and len(set(words)) == len(words):
        return {
            word: root / name for word, name in sorted(zip(words, holders, strict=True), key=lambda pair: str(pair[0]))
        }
    return {None: root}


def part_word(name: str) -> Part | None:
    """The part that a folder's name tells, where exactly one of its words does."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    told = {PART_WORDS[word.lower()] for word in words if word.lower() in PART_WORDS}
    return told.pop() if len(told) == 1 else None


class _Listing:
    def __init__(self) -> None:
        self.ids: list[str] = []
        self.images: list[str] = []
        self.masks: list[tuple[str, ...]] = []  # one, or none of an image without
        self.labels: list[int] = []
        self.splits: list[str | None] = []
        self.below: list[str] = []  # folder of each image below its class or image folder, "" where it lies in that
        self.classes: tuple[str, ...] = ()


def _by_class(
    root: Path, found: Mapping[Part | None, Path], images: str, masks: str, classes: tuple[str, ...] | None
) -> _Listing:
    rows = _Listing()
    seen = _class_folders(root, found, {images, masks}, classes)
    rows.classes = classes or tuple(seen)
    if set(rows.classes) != set(seen):
        raise refuse(
            "folder", root, f"the class folders {some_of(seen)}", f"those of classes: {', '.join(rows.classes)}"
        )
    if len(rows.classes) < 2:
        raise refuse("folder", root, f"one class folder, {shown(seen[0])}/", "two or more")
    for part, below in found.items():
        loose = image_names(below, entries(below)[1])
        if loose:
            raise UserError(f"folder: {len(loose)} images in {quoted(below)} lie in no class folder: {some_of(loose)}")
        for label, name in enumerate(rows.classes):
            inside = images_below(below / name) if (below / name).is_dir() else {}
            if not inside:
                raise UserError(
                    f"folder: class {quoted(name)} is empty: no image in {quoted(below / name)}; add some, or remove it"
                )
            rows.ids += [os.path.relpath(below / name / stem, root) for stem in inside]
            rows.images += list(inside.values())
            rows.labels += [label] * len(inside)
            rows.splits += [part] * len(inside)
            rows.below += [os.path.dirname(stem) for stem in inside]
    return rows


def _class_folders(
    root: Path, found: Mapping[Part | None, Path], halves: set[str], classes: tuple[str, ...] | None
) -> list[str]:
    """Names of the folders that are classes: those with images, and empty ones, which are named later.

    A folder that holds other files only, as ``docs`` may, is none.

    Raises:
        UserError: no folder has images, or some hold masks, or the images of masks.
    """
    seen = sorted({name for below in found.values() for name in entries(below)[0]})
    folders = {name: [below / name for below in found.values() if (below / name).is_dir()] for name in seen}
    holding = [name for name in seen if any(images_below(folder) for folder in folders[name])]
    if not holding:
        raise refuse("folder", root, contents(root), "one folder of images per class, or an image and a mask folder")
    _refuse_masks(root, [folder for name in holding for folder in folders[name]], halves)
    of_masks = [name for name in holding if is_mask_folder(name)]
    if classes is None and of_masks and len(of_masks) < len(holding):
        raise refuse(
            "folder",
            root,
            f"beside class folders {some_of([f'{name}/' for name in of_masks])}, which seems to hold masks",
            "masks are no class: give the options images and masks, or list the option classes where they are one",
        )
    wanted = set(classes or ())
    return [name for name in seen if name in {*holding, *wanted} or not any(map(files_below, folders[name]))]


def _refuse_masks(root: Path, classes: Sequence[Path], halves: set[str]) -> None:
    """UserError where folders below the class folders hold masks, or the images of masks: these are no classes."""
    names = {name for folder in classes for name in tree(folder)}
    odd = [name for name in names if is_mask_folder(name) or name in halves]
    if odd:
        raise refuse(
            "folder",
            root,
            f"folders below the class folders that seem to hold masks or their images: {some_of(odd)}",
            "one folder of images per class, or an image and a mask folder; the option parts names several of those",
        )


def _pairs(
    found: Mapping[Part | None, Path], images: str, masks: str, suffix: str, unpaired: Literal["error", "unlabelled"]
) -> _Listing:
    rows = _Listing()
    for part, below in found.items():
        pictures, marks = images_below(below / images), images_below(below / masks)
        odd = [stem for stem in marks if not stem.endswith(suffix)]
        if odd:
            raise UserError(f"folder: {len(odd)} masks do not end in {suffix!r}: {some_of(odd)}")
        marks = {stem.removesuffix(suffix): file for stem, file in marks.items()}
        matched(
            "folder",
            set(pictures) if unpaired == "error" else set(pictures) & set(marks),
            set(marks),
            only_left=f"images in {quoted(below / images)} without a mask in {quoted(below / masks)}",
            only_right=f"masks in {quoted(below / masks)} without an image in {quoted(below / images)}",
            or_left=AS_UNLABELLED,
        )
        rows.ids += [stem if part is None else f"{part}/{stem}" for stem in pictures]
        rows.images += list(pictures.values())
        rows.masks += [(marks[stem],) if stem in marks else () for stem in pictures]
        rows.splits += [part] * len(pictures)
        rows.below += [os.path.dirname(stem) for stem in pictures]
    return rows


def _is_pair(path: Path, images: str, masks: str) -> bool:
    return (path / images).is_dir() and (path / masks).is_dir()


def _has_class_folders(path: Path, *, is_part: bool) -> bool:
    """Whether folders in ``path`` hold images; those of a part may hold them in folders of patients."""
    folders = (path / name for name in entries(path)[0])
    return any(images_below(below) if is_part else image_names(below, entries(below)[1]) for below in folders)


def groups_of(
    images: Sequence[str], below: Sequence[str], rule: str | None, source: Literal["name", "folder"], grouping: str
) -> tuple[list[str] | None, str | None, tuple[str, ...]]:
    """The group of each image, what a group is, and what is to be said of it.

    Args:
        images: paths of the files.
        below: folder of each below that which is not its group's, empty where it lies in that.
        rule: regular expression searched in the names of files, or of folders.
        source: what tells the group.
    """
    stems = [parted(os.path.basename(file))[0] for file in images]
    if source == "folder":
        folders = [name.split(os.sep)[0] for name in below]
        if "" in folders:
            raise UserError(
                f"folder: group_from: folder, but {quoted(stems[folders.index('')])} lies in no folder below its class "
                "or image folder; put each image into a folder of its group, or leave group_from out"
            )
        groups = folders if rule is None else found_in_all(rule, folders, "folder", "group")
    elif rule is not None:
        groups = found_in_all(rule, stems, "folder", "group")
    else:
        told = groups_by_name(stems)
        if told.groups is not None:
            return list(told.groups), told.grouping, (told.note,)
        return None, None, (" ".join(filter(None, [told.note, NO_GROUPS + _folders_hint(below) + alike(stems) + "."])),)
    warning = own_group_each(stems, groups)
    return groups, grouping, (warning,) if warning else ()


def _folders_hint(folders: Sequence[str]) -> str:
    """What to do where folders below the classes may be patients."""
    below, loose = len({name for name in folders if name}), list(folders).count("")
    if not below:
        return ""
    move = f"move the {loose} images that lie in none of them into some, and " if loose else ""
    return f"; if the {below} folders that images lie in are patients, {move}set data.options.group_from=folder"
