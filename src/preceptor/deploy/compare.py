"""``preceptor compare A B DATA``: two runs or bundles on the same labelled images, paired."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from preceptor.data.class_map import ClassMap, labels_by
from preceptor.data.decoded import pixel_hash
from preceptor.data.images import FileReader, read_image
from preceptor.data.samples import SampleTable
from preceptor.data.sources import open_source
from preceptor.data.unlabelled import labelled
from preceptor.deploy.bundle import is_bundle
from preceptor.deploy.contract import Contract
from preceptor.deploy.images import Item
from preceptor.deploy.predictor import Predictor, Row, open_predictor
from preceptor.deploy.student import find_student
from preceptor.errors import UserError
from preceptor.groupings import narrow_for_patients
from preceptor.measures import MEASURES, ClassAnswers, Interval, MaskAnswers, main_measure, mask_counts
from preceptor.measures.not_worse import drawn_over, paired_gap, words_on
from preceptor.training.pixel_keys import keys_of, trained_on

_AT_ONCE, _CUT_AT_ONCE = 32, 4
"""Images in memory; of those that are cut into tiles fewer, since they may be of any size."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure of both, and the difference."""

    label: str
    first: float
    second: float
    gap: Interval


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """What two models say of the same images.

    Args:
        words: whether the first may take the place of the second.
        notes: what was left out.
    """

    samples: int
    rows: tuple[Compared, ...]
    words: str
    notes: tuple[str, ...]


def compare_networks(
    first: Path,
    second: Path,
    data: str,
    *,
    source: str = "folder",
    options: Mapping[str, Any] | None = None,
    names: ClassMap | None = None,
    margin: float = 0.02,
    device: str = "auto",
) -> ModelComparison:
    """Ask both about every labelled image.

    A model that classifies tiles says of an image the mean of its tiles' probabilities.

    Args:
        options: of the source.
        names: what the classes of the data are called by both models; by default they bear the same names.
        margin: how much worse the first may be, as a share.

    Raises:
        UserError: models of different classes or tasks, data without labels or with other classes, or no answers.
    """
    models = [open_predictor(path, device=device) for path in (first, second)]
    one, other = (model.contract for model in models)
    if one.task != other.task or set(one.classes) != set(other.classes):
        raise UserError(
            f"{first} answers with {', '.join(one.classes)} and {second} with {', '.join(other.classes)}: two models "
            "of the same classes were wanted"
        )
    found = open_source(source, data, options)
    table = labelled(found)
    if table.task != one.task or not isinstance(table.read, FileReader):
        raise UserError(
            f"{data} holds no image files with labels for {one.task}; if they lie otherwise, give --source and --option"
        )
    answered = _answers(models, table, names)
    groups = answered.groups
    drawn = drawn_over(groups, table.grouping)
    main = main_measure(one.task)
    sides = answered.sides
    kept = [m for m in MEASURES[one.task].values() if m.addends is not None and m.is_known_of(sides[0])]
    notes = table.notes[len(found.notes) :] + answered.notes + _on_training((first, second), answered.images)
    rows = []
    for measure in kept:
        score, other_score = (
            float(measure.finished(measure.rows(side).sum(axis=0, keepdims=True))[0]) for side in sides
        )
        rows.append(Compared(measure.label, score, other_score, paired_gap(measure, *sides, groups)))
    gap = next(row.gap for row, measure in zip(rows, kept, strict=True) if measure.key == main.key)
    words = words_on(str(first), str(second), main.label, gap, margin, drawn)
    narrow = narrow_for_patients(table.grouping) if groups is not None else ""
    return ModelComparison(answered.samples, tuple(rows), words, tuple(filter(None, (*notes, narrow))))


@dataclass(frozen=True, slots=True)
class _Answered:
    sides: tuple[ClassAnswers | MaskAnswers, ClassAnswers | MaskAnswers]
    groups: list[str] | None
    samples: int
    notes: tuple[str, ...]
    images: tuple[list[str], list[str]]  # hashes of their pixels as each model reads them


def _on_training(models: Sequence[Path], images: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """What must be known of scores on images on which a model was trained, or may have been."""
    notes = []
    for path, hashes in zip(models, images, strict=True):
        if is_bundle(path):
            notes.append(f"{path} does not say which images it was trained on: make sure that these are others")
        elif words := trained_on(find_student(path)[0].files.folder, str(path), keys_of(hashes)):
            notes.append(words)
    return tuple(dict.fromkeys(notes))


def _hash(rows: Sequence[Row], contract: Contract, item: Item) -> str:
    """Of the pixels of a whole image."""
    if contract.tile and not contract.has_masks:  # rows are of tiles
        return pixel_hash(read_image(item.path, contract.reading, place=item.place, any_size=True))
    pixels = rows[0].pixels
    assert pixels is not None, "an image that was answered was read"
    return pixel_hash(pixels)


def _answers(models: Sequence[Predictor], table: SampleTable, names: ClassMap | None) -> _Answered:
    contract = models[0].contract
    if names is None and not contract.has_masks and (strange := set(table.classes) - set(contract.classes)):
        raise UserError(
            f"{table.source} has class {min(strange)!r}, and the models know {', '.join(contract.classes)}; give --map"
        )
    same: ClassMap = {name: name for name in table.classes}
    places = labels_by(table.classes, contract.classes, names or same, table.source) if not contract.has_masks else []
    reader = table.read
    assert isinstance(reader, FileReader)
    labels = table.frame["label"].to_numpy()
    wanted = [row for row in range(len(table.frame)) if contract.has_masks or places[int(labels[row])] is not None]
    said: list[list[np.ndarray]] = [[], []]
    kept: list[int] = []
    images: tuple[list[str], list[str]] = ([], [])
    at_once = _CUT_AT_ONCE if any(model.contract.tile for model in models) else _AT_ONCE
    for begin in range(0, len(wanted), at_once):
        rows = wanted[begin : begin + at_once]
        items = [Item(str(row), reader.images[row], reader.places[row] if reader.places else None) for row in rows]
        answers = [_by_image(model.rows(items)) for model in models]
        for row, item in zip(rows, items, strict=True):
            both = [found[str(row)] for found in answers]
            if all(answer.answer is not None for of_image in both for answer in of_image):
                kept.append(row)
                for side, hashes, model, of_image in zip(said, images, models, both, strict=True):
                    side.append(_said(of_image, model, table, row, contract.classes))
                    hashes.append(_hash(of_image, model.contract, item))
    if not kept:
        raise UserError(f"{table.source}: neither model answers on any image; see `preceptor predict` for the reasons")
    left = len(wanted) - len(kept), len(table.frame) - len(wanted)
    why = ("could not be read", "are of classes that --map leaves out")
    notes = tuple(f"{count} images {reason}" for count, reason in zip(left, why, strict=True) if count)
    if not contract.has_masks and any(model.contract.tile for model in models):
        notes += ("scores are of images, by the mean of their tiles' probabilities; `preceptor evaluate` scores tiles",)
    stacked = [np.stack(side) for side in said]
    if contract.has_masks:
        sides = (MaskAnswers(stacked[0]), MaskAnswers(stacked[1]))
        return _Answered(sides, _groups(table, kept), len(kept), notes, images)
    truth = np.array([places[int(labels[row])] for row in kept], dtype=np.int64)
    both_sides = (ClassAnswers(stacked[0], truth), ClassAnswers(stacked[1], truth))
    return _Answered(both_sides, _groups(table, kept), len(kept), notes, images)


def _by_image(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each image; those of its tiles are called ``NAME@y,x``."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.name.split("@")[0], []).append(row)
    return found


def _said(rows: Sequence[Row], model: Predictor, table: SampleTable, place: int, classes: Sequence[str]) -> np.ndarray:
    """Probabilities in the order of ``classes``, the mean over tiles, or pixel counts against the mask."""
    answers = [row.answer for row in rows if row.answer is not None]
    if answers[0].mask is None:
        mean = np.mean([answer.shares for answer in answers], axis=0)
        shares = dict(zip(model.contract.classes, mean, strict=True))
        return np.array([shares[name] for name in classes])
    truth = table.read(place)[1]
    assert truth is not None
    masks = [mask[None].astype(np.int64) for mask in (answers[0].mask, truth)]
    counts: np.ndarray = mask_counts(*masks, classes=len(classes))[0]
    return counts


def _groups(table: SampleTable, rows: Sequence[int]) -> list[str] | None:
    groups = table.frame["group"].to_numpy(dtype=object)[list(rows)]
    return None if any(group is None for group in groups) else [str(group) for group in groups]
