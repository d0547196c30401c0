"""Images and masks told by their paths: by a rule that the user writes, or by that of a published layout."""

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from preceptor.data.images import FileReader
from preceptor.data.layouts import GENERAL, PUBLISHED, FolderLayout
from preceptor.data.name_rules import groups_by_name
from preceptor.data.patterns import named_brackets
from preceptor.data.pixels.endings import parted
from preceptor.data.samples import SampleTable, sample_frame
from preceptor.data.sources._layout import AS_UNLABELLED, PART_WORDS, contents, folder_at, image_places, refuse, some_of
from preceptor.data.sources._mask_names import mask_names
from preceptor.data.sources._sorting import BRACKETS, Brackets, Matcher, SortedFiles, own_brackets, sort_files
from preceptor.data.sources._tables import read_table
from preceptor.errors import UserError
from preceptor.quoting import quoted, shown
from preceptor.specs import Task

Unpaired = Literal["error", "ignore", "unlabelled"]
_PARTS = {**PART_WORDS, "tr": "train", "ts": "test"}
NO_GROUPS = (
    "No groups are known: images of one patient can be on both sides of a split. If paths tell the patient, use the "
    "source paths and put it into a bracket: (?P<group>…)."
)
WITHOUT_MASKS = "images of a part that has no masks"
UNPAIRED = "images without a mask, or masks without an image"


def paths(
    path: Path,
    *,
    image: str,
    mask: str | None = None,
    second_mask: str | None = None,
    task: Task | None = None,
    classes: tuple[str, ...] | None = None,
    grouping: str = "group",
    unpaired: Unpaired = "error",
) -> SampleTable:
    r"""Images, and masks, whose paths below the folder fit a regular expression.

    ``image: '(?P<key>\d+)_training\.tif', mask: '(?P<key>\d+)_manual1\.gif'`` pairs ``21_training.tif`` with
    ``21_manual1.gif``. An expression fits the whole path, written with ``/``. Named brackets say what belongs
    together: ``key`` is what an image and its masks have in common, ``class`` the class of an image, ``part`` train,
    validation or test, ``group`` who or what it is of. Where no bracket has a name, the first one is the key.

    Args:
        path: the folder.
        image: what the paths of images are like.
        mask: what those of masks are like; a file that fits it is a mask. Several masks of one image are joined.
        second_mask: what those by a second observer are like; how far both agree stands in the report.
        task: what is wanted where images have a class and masks.
        classes: classes in the order of their labels, or names of the mask values, background first.
        grouping: what a group is, for example ``patient``.
        unpaired: what to do with images without a mask, and masks without an image: ``ignore`` leaves them out;
            ``unlabelled`` takes images without a mask as such, for networks to learn from what others say of them.
    """
    layout = FolderLayout(
        key="paths",
        title="what the options image and mask say",
        image=_with_key(image),
        mask=None if mask is None else _with_key(mask),
        second=None if second_mask is None else _with_key(second_mask),
        grouping=grouping,
    )
    if not layout.tasks:
        raise UserError(
            "paths: the option image has no bracket (?P<class>…) for the class, and there is no option mask: "
            "give one of them"
        )
    wanted = task or layout.tasks[-1]
    layout = _with_classes(layout, wanted, classes)
    return _table(layout, folder_at(path, "paths"), wanted, unpaired, _user_brackets)


class LayoutSource:
    """The source of a layout, called like any other."""

    def __init__(self, layout: FolderLayout) -> None:
        self.layout = layout
        self.__name__ = layout.key

    def __call__(
        self,
        path: Path,
        *,
        task: Task | None = None,
        classes: tuple[str, ...] | None = None,
        unpaired: Unpaired = "error",
    ) -> SampleTable:
        """The sample table of the folder ``path``.

        Args:
            path: the folder.
            task: what is wanted where there are classes and masks.
            classes: class folders in the order of their labels, or names of the mask values, background first.
            unpaired: what to do with images without a mask, and masks without an image: ``ignore`` leaves them out;
                ``unlabelled`` takes images without a mask as such.
        """
        wanted = task or self.layout.task
        layout = _with_classes(self.layout, wanted, classes)
        return _table(layout, folder_at(path, layout.key), wanted, unpaired, own_brackets)


LAYOUT_SOURCES = tuple(LayoutSource(layout) for layout in (*PUBLISHED, *GENERAL))


def _with_classes(layout: FolderLayout, task: Task, classes: tuple[str, ...] | None) -> FolderLayout:
    if classes is None:
        return layout
    if task == "classification":
        return replace(layout, classes=classes)
    return replace(layout, mask_classes=classes, names_file=None)


def _table(layout: FolderLayout, root: Path, task: Task, unpaired: Unpaired, matcher: Matcher) -> SampleTable:
    if task not in layout.tasks:
        raise UserError(f"{layout.key}: read for {' or '.join(layout.tasks)}; the option task asks for {task}")
    found = sort_files(layout, image_places(root), matcher)
    if found.refused:
        place, reason = next(iter(found.refused.items()))
        raise UserError(
            f"{layout.key}: {len(found.refused)} files below {quoted(root)}, for example {quoted(place)}, are {reason}"
        )
    if not found.images or (task == "segmentation" and not found.masks):
        lacking = "image" if not found.images else "mask"
        example = f", for example {layout.examples[0][0 if lacking == 'image' else 1]}" if layout.examples else ""
        raise refuse(layout.key, root, f"{contents(root)}; no {lacking} among them", layout.title + example)
    left_out = {os.path.join(root, place): reason for place, reason in found.left_out.items()}
    if task == "segmentation":
        rows, dropped = _paired(layout, root, found, unpaired)
        left_out |= {os.path.join(root, place): reason for place, reason in dropped.items()}
    else:
        rows = [(place, (), brackets) for place, brackets in found.images.items()]
        left_out |= dict.fromkeys((os.path.join(root, place) for place in found.masks), "masks, as the task is classes")
    seconds = [found.seconds_of(brackets) if task == "segmentation" else () for _, _, brackets in rows]
    used = {place for places in seconds for place in places}
    unused = dict.fromkeys(set(found.seconds) - used, "masks by a second observer of no image that is used")
    left_out |= {os.path.join(root, place): reason for place, reason in unused.items()}
    return _sample_table(layout, root, task, rows, seconds, left_out)


_Row = tuple[str, tuple[str, ...], Brackets]


def _paired(
    layout: FolderLayout, root: Path, found: SortedFiles, unpaired: Unpaired
) -> tuple[list[_Row], dict[str, str]]:
    """Each image with its masks, and what is left out with the reason.

    Raises:
        UserError: two images are one, or one of a pair is missing.
    """
    masked_parts = {_part(layout, brackets, place) for place, brackets in found.masks.items()}
    rows: list[_Row] = []
    dropped: dict[str, str] = {}
    alone: tuple[list[str], list[str]] = ([], [])
    for images, masks in found.pairs().values():
        if len(images) > 1:
            raise UserError(
                f"{layout.key}: {some_of(images)} below {quoted(root)} are one image by their key; remove all but one, "
                "or rename them"
            )
        if images and masks:
            rows.append((images[0], tuple(masks), found.images[images[0]]))
        elif images and _part(layout, found.images[images[0]], images[0]) not in masked_parts:
            dropped[images[0]] = WITHOUT_MASKS
        elif images and unpaired == "unlabelled":
            rows.append((images[0], (), found.images[images[0]]))
        else:
            for kind, places in enumerate((images, masks)):
                alone[kind].extend(places)
    for places, what in zip(alone, ("images without a mask", "masks without an image"), strict=True):
        if places and unpaired != "ignore":
            keep = AS_UNLABELLED if places is alone[0] else ""
            raise UserError(
                f"{layout.key}: {len(places)} {what} below {quoted(root)}: {some_of(places)}; add those missing, or "
                f"leave these out with the option unpaired: ignore{keep}"
            )
        dropped |= dict.fromkeys(places, UNPAIRED)
    return rows, dropped


def _sample_table(
    layout: FolderLayout,
    root: Path,
    task: Task,
    rows: Sequence[_Row],
    seconds: Sequence[tuple[str, ...]],
    left_out: dict[str, str],
) -> SampleTable:
    places = [place for place, _, _ in rows]
    read: list[Path] = []
    classes, labels, few = layout.mask_classes, None, ""
    if task == "classification":
        classes, labels, few = _classes(layout, root, rows)
    elif layout.names_file:
        read.append(root / layout.names_file)
        classes = mask_names(root / layout.names_file)
    parts = [_part(layout, brackets, place) for place, _, brackets in rows]
    groups, grouping, note, table = _groups(layout, root, rows)
    read += [table] if table else []
    images = tuple(os.path.join(root, place) for place in places)
    masks = tuple(tuple(os.path.join(root, mask) for mask in found) for _, found, _ in rows)
    second = tuple(tuple(os.path.join(root, mask) for mask in found) for found in seconds)
    reader = FileReader(
        images, masks if task == "segmentation" else None, len(classes), second=second if any(second) else None
    )
    return SampleTable(
        source=layout.key,
        task=task,
        classes=classes,
        frame=sample_frame(
            _ids(places),
            places,
            labels=labels,
            masks=[" + ".join(found) or None for _, found, _ in rows] if task == "segmentation" else None,
            groups=groups,
            splits=parts if len(set(parts)) > 1 else None,
            known=[bool(found) for _, found, _ in rows] if task == "segmentation" else None,
        ),
        read=reader,
        grouping=grouping,
        files=reader.files,
        notes=tuple(filter(None, (few, note))),
        read_besides=tuple(map(str, read)),
        left_out=left_out,
    )


def _classes(layout: FolderLayout, root: Path, rows: Sequence[_Row]) -> tuple[tuple[str, ...], list[int], str]:
    """Classes, the label of each row, and a note where the layout has more classes than are here."""
    names = [str(brackets["class"]) for _, _, brackets in rows]
    classes = tuple(name for name in layout.classes if name in names) or tuple(sorted(set(names)))
    unknown = set(names) - set(classes)
    if unknown:
        raise refuse(layout.key, root, f"images of the classes {some_of(set(names))}", f"those of {', '.join(classes)}")
    if len(classes) < 2:
        raise refuse(layout.key, root, f"one class, {shown(classes[0])}", "two or more")
    absent = [name for name in layout.classes if name not in classes]
    note = f"No images of {', '.join(absent)} are here: {len(classes)} classes." if absent else ""
    return classes, [classes.index(name) for name in names], note


def _part(layout: FolderLayout, brackets: Brackets, place: str) -> str | None:
    told = brackets.get("part")
    if told is not None and told.lower() not in _PARTS:
        raise UserError(
            f"{layout.key}: {quoted(place)} is of the part {quoted(told)}: expected {', '.join(dict.fromkeys(_PARTS))}"
        )
    return None if told is None else _PARTS[told.lower()]


def _groups(
    layout: FolderLayout, root: Path, rows: Sequence[_Row]
) -> tuple[list[str] | None, str | None, str, Path | None]:
    """The group of each image, what a group is, a note, and the table that told them."""
    if layout.group_table and (root / layout.group_table[0]).is_file():
        name, key, group = layout.group_table
        table = read_table(root / name).rows
        lacking = {key, group} - set(table.columns)
        known = {} if lacking else dict(zip(table[key].str.strip(), table[group].str.strip(), strict=True))
        found = [known.get(str(brackets["key"])) for _, _, brackets in rows]
        if all(found):
            return [str(group) for group in found], layout.grouping, "", root / name
        note = f"{name} does not tell the {layout.grouping} of every image: no groups are known."
        return None, None, note, None
    given = [brackets.get("group") for _, _, brackets in rows]
    if all(given):
        return [str(group) for group in given], layout.grouping, "", None
    told = groups_by_name([parted(os.path.basename(place))[0] for place, _, _ in rows])
    if told.groups is not None:
        note = told.note.replace("data.options.group sets", "a bracket group of the source paths sets")
        return list(told.groups), told.grouping, note, None
    return None, None, " ".join(filter(None, [told.note, NO_GROUPS])), None


def _ids(places: Sequence[str]) -> list[str]:
    """Paths without endings where that tells them apart."""
    short = [parted(place)[0] for place in places]
    return short if len(set(short)) == len(short) else list(places)


def _user_brackets(rule: str, places: Sequence[str], what: str) -> dict[str, Brackets]:
    """The matcher of rules that users write, which may take for ever."""
    found = named_brackets(rule, places, f"paths: the option {what}")
    return {place: brackets for place, brackets in zip(places, found, strict=True) if brackets is not None}


def _with_key(rule: str) -> str:
    """``rule``, its first bracket called key where none has a name.

    Raises:
        UserError: no bracket, or one whose name means nothing here.
    """
    try:
        compiled = re.compile(rule)
    except (re.error, OverflowError, RecursionError) as error:
        raise UserError(f"paths: {shown(rule)} is no regular expression: {error}") from None
    strangers = set(compiled.groupindex) - set(BRACKETS)
    if strangers:
        raise UserError(f"paths: {shown(rule)} has a bracket {some_of(strangers)}: known are {', '.join(BRACKETS)}")
    if compiled.groupindex:
        return rule
    first = re.search(r"(?<!\\)(?:\\\\)*\((?!\?)", rule)
    if first is None:
        raise UserError(f"paths: {shown(rule)} has no bracket: put the key, what image and mask share, into (…)")
    return f"{rule[: first.end()]}?P<key>{rule[first.end() :]}"
