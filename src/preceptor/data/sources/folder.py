"""Plain folders: one folder per class, or a folder of images beside a folder of masks."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from preceptor.data.images import FileReader
from preceptor.data.samples import SampleTable, sample_frame
from preceptor.data.sources._layout import contents, entries, folder_at, image_names, images_in, matched, named, refuse
from preceptor.errors import UserError

Part = Literal["train", "validation", "test"]
_WORDS: dict[str, Part] = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


def folder(
    path: Path,
    *,
    images: str = "images",
    masks: str = "masks",
    mask_suffix: str = "",
    classes: tuple[str, ...] | None = None,
    parts: Mapping[str, Part] | None = None,
    group: str | None = None,
    grouping: str = "group",
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
            that it matches, is the group.
        grouping: what such a group is, for example ``patient``.
    """
    root = folder_at(path, "folder")
    found = find_parts(root, images, masks, parts)
    pairs = [_is_pair(below, images, masks) for below in found.values()]
    if any(pairs) != all(pairs):
        raise refuse("folder", root, "image and mask folders in some parts only", "the same layout in every part")
    rows = _pairs(found, images, masks, mask_suffix) if all(pairs) else _by_class(root, found, classes)
    names = classes or (("background", "foreground") if all(pairs) else rows.classes)
    reader = FileReader(tuple(rows.images), tuple((mask,) for mask in rows.masks) if all(pairs) else None, len(names))
    groups = None if group is None else [_group(group, file) for file in rows.images]
    return SampleTable(
        source="folder",
        task="segmentation" if all(pairs) else "classification",
        classes=names,
        frame=sample_frame(
            rows.ids,
            [os.path.relpath(file, root) for file in rows.images],
            labels=rows.labels or None,
            masks=[os.path.relpath(file, root) for file in rows.masks] or None,
            groups=groups,
            splits=rows.splits if any(rows.splits) else None,
        ),
        read=reader,
        grouping=grouping if group else None,
        files=reader.files,
        notes=() if group else ("No group rule is set: images of one patient can be on both sides of a split.",),
    )


def find_parts(root: Path, images: str, masks: str, parts: Mapping[str, Part] | None = None) -> dict[Part | None, Path]:
    """Part -> its folder; None -> ``root`` where there are no parts."""
    folders = entries(root)[0]
    if parts is not None:
        absent = set(parts) - set(folders)
        if absent:
            raise UserError(f"folder: parts names {named(absent)}, which {str(root)!r} lacks: it has {contents(root)}")
        if len(set(parts.values())) < len(parts):
            raise UserError(f"folder: parts gives one part to several folders: {dict(parts)}")
        return {part: root / name for name, part in parts.items()}
    holders = [name for name in folders if _is_pair(root / name, images, masks) or _has_class_folders(root / name)]
    words = [part_word(name) for name in holders]
    if holders and "train" in words and None not in words and len(set(words)) == len(words):
        return {
            word: root / name for word, name in sorted(zip(words, holders, strict=True), key=lambda pair: str(pair[0]))
        }
    return {None: root}


def part_word(name: str) -> Part | None:
    """The part that a folder's name tells, where exactly one of its words does."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    told = {_WORDS[word.lower()] for word in words if word.lower() in _WORDS}
    return told.pop() if len(told) == 1 else None


class _Rows:
    def __init__(self) -> None:
        self.ids: list[str] = []
        self.images: list[str] = []
        self.masks: list[str] = []
        self.labels: list[int] = []
        self.splits: list[str | None] = []
        self.classes: tuple[str, ...] = ()


def _by_class(root: Path, found: Mapping[Part | None, Path], classes: tuple[str, ...] | None) -> _Rows:
    rows = _Rows()
    seen = sorted({name for below in found.values() for name in entries(below)[0]})
    if not any(image_names(entries(below / name)[1]) for below in found.values() for name in entries(below)[0]):
        raise refuse("folder", root, contents(root), "one folder of images per class, or an image and a mask folder")
    rows.classes = classes or tuple(seen)
    if set(rows.classes) != set(seen):
        raise refuse("folder", root, f"the class folders {named(seen)}", f"those of classes: {', '.join(rows.classes)}")
    if len(rows.classes) < 2:
        raise refuse("folder", root, f"one class folder, {seen[0]}/", "two or more")
    for part, below in found.items():
        loose = image_names(entries(below)[1])
        if loose:
            raise UserError(f"folder: {len(loose)} images in {str(below)!r} lie in no class folder: {named(loose)}")
        for label, name in enumerate(rows.classes):
            inside = images_in(below / name) if (below / name).is_dir() else {}
            if not inside:
                raise UserError(
                    f"folder: class {name!r} is empty: no image in {str(below / name)!r}; add some, or remove it"
                )
            rows.ids += [os.path.relpath(below / name / stem, root) for stem in inside]
            rows.images += list(inside.values())
            rows.labels += [label] * len(inside)
            rows.splits += [part] * len(inside)
    return rows


def _pairs(found: Mapping[Part | None, Path], images: str, masks: str, suffix: str) -> _Rows:
    rows = _Rows()
    for part, below in found.items():
        pictures, marks = images_in(below / images), images_in(below / masks)
        odd = [stem for stem in marks if not stem.endswith(suffix)]
        if odd:
            raise UserError(f"folder: {len(odd)} masks do not end in {suffix!r}: {named(odd)}")
        marks = {stem.removesuffix(suffix): file for stem, file in marks.items()}
        matched(
            "folder",
            set(pictures),
            set(marks),
            only_left=f"images in {str(below / images)!r} without a mask in {str(below / masks)!r}",
            only_right=f"masks in {str(below / masks)!r} without an image in {str(below / images)!r}",
        )
        rows.ids += [stem if part is None else f"{part}/{stem}" for stem in pictures]
        rows.images += list(pictures.values())
        rows.masks += [marks[stem] for stem in pictures]
        rows.splits += [part] * len(pictures)
    return rows


def _is_pair(path: Path, images: str, masks: str) -> bool:
    return (path / images).is_dir() and (path / masks).is_dir()


def _has_class_folders(path: Path) -> bool:
    return any(image_names(entries(path / name)[1]) for name in entries(path)[0])


def _group(rule: str, file: str) -> str:
    stem = os.path.splitext(os.path.basename(file))[0]
    try:
        match = re.search(rule, stem)
    except re.error as error:
        raise UserError(f"folder: the option group is no regular expression: {error}") from None
    if match is None:
        raise UserError(f"folder: the group rule {rule} finds nothing in {os.path.basename(file)!r}")
    return match[1] if match.re.groups else match[0]
