"""Images and their masks, told by the names of folders and files."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from preceptor.data.layouts import MASK_WORD
from preceptor.data.name_rules import groups_by_name
from preceptor.data.pixels.endings import parted
from preceptor.data.sources._layout import entries, images_below, is_mask_folder
from preceptor.data.sources._recognised import Recognised
from preceptor.data.sources.folder import part_word

_NEARLY_ALL = 0.9
_FEWEST_PAIRS = 2
_IMAGE_WORD = r"(?i:images?|imgs?|scans?|pictures?|photos?|bild|slices?|patch|tile)"


def pairs_of_folders(path: Path, folders: list[str]) -> Recognised | None:
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
                reasons.append(guessed_groups(len(inner), f"{images}/"))
            return Recognised("folder", options, tuple(reasons))
    return None


def pairs_of_many_folders(path: Path) -> Recognised | None:
    """Folders of images, each with a folder of masks of nearly the same name: ``Slide_01`` and ``GT_01``."""
    places = {name: images_below(path / name) for name in entries(path)[0]}
    names = [[name for name in places if places[name] and is_mask_folder(name) == is_mask] for is_mask in (False, True)]
    if not len(names[0]) == len(names[1]) > 1:
        return None
    rules = []
    for some in names:
        folder = _affixes(set(some))
        stems = {(_key(name, folder), stem) for name in some for stem in places[name]}
        file = _affixes({stem for _, stem in stems})
        rules.append((folder, file, {(group, _key(stem, file)) for group, stem in stems}))
    if rules[0][2] != rules[1][2] or any("" in pair for pair in rules[0][2]):
        return None
    ending = _ending(file for found in places.values() for file in found.values())
    options: dict[str, Any] = {
        kind: rf"{_literal(folder[0])}(?P<group>[^/]+){_literal(folder[1])}/"
        rf"{_literal(file[0])}(?P<key>.+){_literal(file[1])}{ending}"
        for kind, (folder, file, _) in zip(("image", "mask"), rules, strict=True)
    }
    said = (
        f"saw {len(names[0])} folders of images ({names[0][0]}, …), each with one of masks ({names[1][0]}, …)",
        "guessed: each folder is a group (a patient), which a split keeps together",
    )
    return Recognised("paths", options | {"grouping": "folder"}, said)


def _key(name: str, affixes: tuple[str, str]) -> str:
    """What is between what all names begin and end with."""
    return name[len(affixes[0]) : len(name) - len(affixes[1])]


def pairs_by_affixes(path: Path) -> Recognised | None:
    """An image folder and a mask folder whose names differ in what all of a folder begin and end with."""
    for images, masks, stems in _candidates(path, by_affix=True):
        rules = [(name, *_affixes(stems[name])) for name in (images, masks)]
        keys = [{stem[len(begin) : len(stem) - len(end)] for stem in stems[name]} for name, begin, end in rules]
        if keys[0] != keys[1] or len(keys[0]) < 2:
            continue
        ending = _ending(file for name in (images, masks) for file in images_below(path / name).values())
        options = {
            kind: rf"{_literal(name)}/{_literal(begin)}(?P<key>.+){_literal(end)}{ending}"
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
        if stems[name] and (is_mask_folder(name) or (by_affix and is_mask_folder(_affixes(stems[name])[1])))
    ]
    for masks in marks:
        for images in stems:
            if stems[images] and images not in marks:
                yield images, masks, stems


def guessed_groups(count: int, where: str) -> str:
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


def pairs_in_one_folder(places: list[str]) -> Recognised | None:
    """Images and masks side by side, where one word, before or behind the names of images, tells the masks.

    Args:
        places: paths of all images and masks below the folder.
    """
    stems = {parted(place)[0] for place in places}
    return _by_end(stems, places) or _by_begin(stems, places)


def _ending(places: Iterable[str]) -> str:
    """What the endings of files are like, as an expression."""
    return r"\.nii\.gz" if all(place.lower().endswith(".nii.gz") for place in places) else r"\.[^./]+"


def _by_end(stems: set[str], places: list[str]) -> Recognised | None:
    """``3_lesion_mask`` beside ``3``: what the names of masks have after those of images."""
    ends: Counter[str] = Counter()
    for stem in stems:
        word = re.search(rf"{MASK_WORD}(?:[ _.-]*[A-Za-z]+)?$", stem)
        if word:
            shorter = (stem[:at] for at in range(word.start(), 0, -1) if stem[:at] in stems)
            image = next(shorter, None)
            if image is not None:
                ends[stem[len(image) :]] += 1
    if not ends:
        return None
    end, count = max(ends.items(), key=lambda item: (item[1], item[0]))
    if 2 * count < _NEARLY_ALL * len(stems) or count < _FEWEST_PAIRS:
        return None
    ending = _ending(places)
    options = {"image": rf"(?P<key>.+){ending}", "mask": rf"(?P<key>.+){_literal(end)}{ending}"}
    return Recognised("paths", options, (f"saw images, and beside them masks whose names go on with {end}",))


def _by_begin(stems: set[str], places: list[str]) -> Recognised | None:
    """``mask_3`` beside ``3`` or ``img_3``: what the names of masks have before those of images."""
    depths = {stem.count("/") for stem in stems}
    masks = [stem for stem in stems if re.match(rf"{MASK_WORD}[ _.-]*(?=.)", os.path.basename(stem))]
    if len(masks) < _FEWEST_PAIRS or not (depths == {0} or depths == {1}):
        return None
    names = {os.path.basename(stem) for stem in masks}
    begin, other = _common_begin(names), _common_begin({os.path.basename(stem) for stem in stems.difference(masks)})
    if not re.fullmatch(rf"{MASK_WORD}[ _.-]*", begin) or not re.fullmatch(rf"(?:{_IMAGE_WORD}[ _.-]*)?", other):
        return None
    keys = [
        {os.path.join(os.path.dirname(stem), os.path.basename(stem)[len(what) :]) for stem in some}
        for what, some in ((begin, masks), (other, stems.difference(masks)))
    ]
    if len(keys[0] & keys[1]) < _NEARLY_ALL * max(map(len, keys)):
        return None
    above = "(?P<group>[^/]+)/" if depths == {1} else ""
    options = {
        kind: rf"{above}{_literal(what)}(?P<key>[^/]+){_ending(places)}"
        for kind, what in (("image", other), ("mask", begin))
    }
    said = [f"saw images, and beside them masks whose names begin with {begin}"]
    if above:
        said.append("guessed: each folder is a group (a patient), which a split keeps together")
        options["grouping"] = "folder"
    return Recognised("paths", options, tuple(said))


def _common_begin(names: set[str]) -> str:
    """The letters and marks that all ``names`` begin with, up to their first digit."""
    return re.split(r"[0-9]", _common_start(names), maxsplit=1)[0] if names else ""
