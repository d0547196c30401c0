"""The published figures that belong beside one's own."""

import csv
from collections.abc import Mapping, Sequence

from preceptor.errors import UserError
from preceptor.inside import inside
from preceptor.measures.measure import AnyMeasure
from preceptor.report.reading.studies import CellRecord, StudyRecord
from preceptor.study_index import INDEX

PublishedFigure = tuple[float, float | None]
PublishedRows = Sequence[Mapping[str, str]]

_KIND = "kind"


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
        (float(row["mean"]), float(row["std"]) if row.get("std") else None)
        for row in rows
        if row["metric"] == (measure.published_as or measure.name)
        and row.get(_KIND, "score") == kind
        and row.get("network", network) in ("", network)
        and all(row.get(axis) in (None, "", label) for axis, label in cell.labels.items())
        and (cell.kind == "run" or "baseline" in (row.get("technique"), row.get("method")))
    }
    return found.pop() if len(found) == 1 else None
