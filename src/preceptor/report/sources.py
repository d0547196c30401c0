"""Which runs every method of a report is made of, for whoever wants to compute its tables again."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from preceptor.places import without_places
from preceptor.quoting import one_line
from preceptor.report.drawing.grid import Grid
from preceptor.report.reading.runs import RunRecord
from preceptor.report.reading.studies import CellRecord, StudyRecord
from preceptor.report.results import axes_of
from preceptor.report.statistics import Statistics


def sources(study: StudyRecord, folders: Sequence[Path], results: Grid | None, note: str = "") -> str:
    """The methods with their runs, the names of scores, and along which axes the results lie, as JSON.

    Args:
        folders: those that are reported; paths are below them, which are counted from 0.
        results: the table in the study's layout.
        note: what every table must say, if anything.
    """
    statistics = Statistics(study)
    down, across = axes_of(study)
    found = {
        "format": 1,
        **({"note": note} if note else {}),
        "title": _said(study.title),
        "task": study.task,
        "network": study.network,
        "networks": study.networks,
        "metric": study.metric,
        "tabled": study.layout.metrics,
        "names": {key: _said(study.label(key)) for key in _metrics(study)},
        "own": sorted({one.key for job in study.jobs if job.run for one in job.run.own}),
        "results": {"down": down, "across": across, "columns": _columns(results)},
        "methods": [_method(study, statistics, cell, folders) for cell in study.cells],
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _metrics(study: StudyRecord) -> list[str]:
    """Every score that a table may show."""
    scored = [metric for run in study.finished for test in run.test.values() for metric in test]
    scored += [f"fidelity.{metric}" for run in study.finished for found in run.fidelity.values() for metric in found]
    return list(dict.fromkeys((*study.measures, *study.layout.metrics, *scored)))


def _columns(results: Grid | None) -> list[list[str]]:
    return [] if results is None else [list(map(_said, labels)) for labels in zip(*results.heads, strict=True)]


def _method(study: StudyRecord, statistics: Statistics, cell: CellRecord, folders: Sequence[Path]) -> Mapping[str, Any]:
    alone = statistics.baseline_of(cell) if cell.kind == "run" else None
    names = {job.run.folder: _said(job.name) for job in cell.jobs if job.run}
    return {
        "title": _said(cell.title),
        "kind": cell.kind,
        "labels": {axis: _said(label) for axis, label in cell.labels.items()},
        "alone": None if alone is None else study.cells.index(alone),
        "runs": [
            {"seed": seed, "name": names[run.folder], **_place(run, folders)}
            for seed, whole in cell.runs.items()
            for run in whole.folds or (whole,)
        ],
    }


def _place(run: RunRecord, folders: Sequence[Path]) -> Mapping[str, Any]:
    here = run.folder.resolve()
    number = next((n for n, one in enumerate(folders) if here.is_relative_to(one.resolve())), None)
    path = run.name if number is None else here.relative_to(folders[number].resolve()).as_posix()
    return {"fold": run.fold, "folder": number or 0, "path": path}


def _said(text: str) -> str:
    """As a table says it."""
    return without_places(one_line(text))
