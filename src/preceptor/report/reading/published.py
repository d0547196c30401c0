"""The published figures that belong beside one's own."""

import csv
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from preceptor.errors import UserError
from preceptor.inside import inside
from preceptor.measures.measure import AnyMeasure
from preceptor.measures.segmentation import F1, IOU
from preceptor.report.reading.studies import CellRecord, StudyRecord
from preceptor.study_index import INDEX

PublishedRows = Sequence[Mapping[str, str]]

_KIND = "kind"

IMPOSSIBLE, NOT_POOLED = "‡", "†"
"""Marks of printed F1 that do not fit the printed IoU."""

MARKS = {
    IMPOSSIBLE: "no F1 of the masks with that IoU: it lies between IoU and 2·IoU/(1 + IoU), pooled or averaged",
    NOT_POOLED: "below 2·IoU/(1 + IoU): not both can be of pooled counts, as ours are",
}

_ROUNDED, _ASIDE = 0.02, 0.1
"""Points by which rounding to two digits, and the averaging of runs, may part F1 from its bounds."""


class PublishedFigure(NamedTuple):
    """A printed mean with its deviation, and a mark of :data:`MARKS` or ''."""

    mean: float
    deviation: float | None
    mark: str = ""


def read_published(study: StudyRecord) -> PublishedRows:
    """The rows of the study's published table; empty where it names none.

    Raises:
        UserError: the file is missing or has other columns.
    """
    if study.published is None:
        return []
    path = inside(study.folder, study.published[0], said_by=study.folder / INDEX)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"published figures {path}: {error}") from None
    for column in ("table", "metric", "mean"):
        if rows and column not in rows[0]:
            raise UserError(f"published figures {path}: column {column!r} is missing; it has {', '.join(rows[0])}")
    return [row for row in rows if row["table"] == study.published[1] and row.get("task", study.task) == study.task]


def figure_for(
    rows: PublishedRows, cell: CellRecord, network: str, measure: AnyMeasure | None
) -> PublishedFigure | None:
    """The one figure of these rows that fits a cell, a network and a measure; None where none or several do.

    A row fits where each of its columns that is an axis of the cell has the cell's label. Students alone are
    rows whose technique or method is ``baseline``; a teacher alone is the network T of such rows.
    """
    if measure is None:
        return None
    kind = "fidelity" if measure.against_teacher else "score"
    found = {
        PublishedFigure(float(row["mean"]), float(row["std"]) if row.get("std") else None, _mark(row, rows))
        for row in rows
        if row["metric"] == (measure.published_as or measure.name)
        and row.get(_KIND, "score") == kind
        and row.get("network", network) in ("", network)
        and all(row.get(axis) in (None, "", label) for axis, label in cell.labels.items())
        and (cell.kind == "run" or "baseline" in (row.get("technique"), row.get("method")))
    }
    return found.pop() if len(found) == 1 else None


def _mark(row: Mapping[str, str], rows: PublishedRows) -> str:
    """Whether a printed F1 fits the IoU that is printed of the same networks."""
    if row["metric"] != F1:
        return ""
    place = _place(row)
    beside = next((float(one["mean"]) for one in rows if one["metric"] == IOU and _place(one) == place), None)
    return "" if beside is None else mark_of(beside, float(row["mean"]))


def mark_of(iou: float, f1: float) -> str:
    """The mark of an F1 printed beside an IoU, both in percent."""
    bound = 200 * iou / (100 + iou)
    if not iou - _ROUNDED <= f1 <= bound + _ROUNDED:
        return IMPOSSIBLE
    return NOT_POOLED if f1 < bound - _ASIDE else ""


def _place(row: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in row.items() if key not in ("metric", "mean", "std"))
