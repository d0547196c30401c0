"""The table in the layout of the published one."""

from collections.abc import Iterable

from preceptor.groupings import narrow_for_patients
from preceptor.report.drawing.grid import Datum, Grid, label, measured, published_text
from preceptor.report.protocol import contradiction
from preceptor.report.reading.published import MARKS, PublishedRows, figure_for
from preceptor.report.reading.studies import CellRecord, StudyRecord
from preceptor.report.statistics import Statistics
from preceptor.specs import FEATURES

_INSIDE = ("network", "metric")
"""Axes of a layout that lie inside every cell of a study."""

_FEW = 20
"""Units below which percentile intervals are known to be too narrow."""

BETTER, WORSE = "▲", "▼"
_MARKS = {"better": BETTER, "worse": WORSE}


def results(study: StudyRecord, statistics: Statistics, published: PublishedRows = ()) -> Grid:
    """The table in the study's layout: teachers and students alone first, published figures beside one's own."""
    layout = study.layout
    down, across = axes_of(study)
    places = [(cell, n, metric) for cell in study.cells for n in _networks(study, cell) for metric in layout.metrics]
    whole = [_along(study, *place, across) for place in places if place[0].kind == "run"]
    columns = dict.fromkeys(column for column in whole if "" not in column)
    rows: dict[tuple[str, ...], dict[tuple[str, ...], tuple[CellRecord, str, str]]] = {}
    for place in places:
        mine = _along(study, *place, across)
        fitting = [column for column in columns if _agree(mine, column)] or [mine]
        columns |= dict.fromkeys(fitting)
        row = rows.setdefault(_row_labels(study, *place, down), {})
        for column in fitting:
            row.setdefault(column, place)
    columns = dict.fromkeys(_in_order(columns))
    heads = [(*("" for _ in down), *(column[level] for column in columns)) for level in range(len(across))]
    heads = heads or [(*("" for _ in down), "score")]
    heads[-1] = (*(axis.removeprefix("technique.") for axis in down), *heads[-1][len(down) :])
    body = []
    for labels in _in_order(rows):
        found = rows[labels]
        data = [_entry(statistics, *found[column], published) if column in found else Datum("") for column in columns]
        if any(datum.text or datum.beside for datum in data):
            body.append((*map(label, labels), *data))
    return Grid("results", study.title, tuple(heads), tuple(body), len(down), _caption(study, statistics, published))


def axes_of(study: StudyRecord) -> tuple[list[str], list[str]]:
    """The axes along which the table goes down, and those along which it goes across."""
    layout = study.layout
    axes = dict.fromkeys(axis for cell in study.cells for axis in cell.labels)
    known = {*axes, *_INSIDE}
    across = [axis for axis in layout.columns if axis in known]
    down = [axis for axis in layout.rows if axis in known]
    down += [axis for axis in axes if axis not in (*down, *across)]
    down += ["network"] if "network" not in (*down, *across) else []
    across += ["metric"] if "metric" not in (*down, *across) else []
    return down, across


def _networks(study: StudyRecord, cell: CellRecord) -> tuple[str, ...]:
    return ("T",) if cell.kind == "teacher" else tuple(n for n in study.networks if cell.kind == "run" or n != "T")


def _along(study: StudyRecord, cell: CellRecord, network: str, metric: str, axes: Iterable[str]) -> tuple[str, ...]:
    """Where a score lies along the axes; empty on those that its cell does not name."""
    place = {**cell.labels, "network": network, "metric": study.label(metric)}
    return tuple(place.get(axis, "") for axis in axes)


def _in_order(places: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Sorted by the first axis, then the second, and so on, the labels of each in the order of the study."""
    known = list(places)
    orders = [list(dict.fromkeys(labels)) for labels in zip(*known, strict=True)]
    return sorted(known, key=lambda place: [order.index(label) for order, label in zip(orders, place, strict=True)])


def _agree(place: Iterable[str], column: Iterable[str]) -> bool:
    """Whether what a cell says of the columns, if anything, is this column."""
    return all(mine in ("", theirs) for mine, theirs in zip(place, column, strict=True))


def _row_labels(study: StudyRecord, cell: CellRecord, network: str, metric: str, axes: list[str]) -> tuple[str, ...]:
    """The labels of a row; students and teachers alone say so on the first axis of the study."""
    labels = list(_along(study, cell, network, metric, axes))
    first = next((place for place, axis in enumerate(axes) if axis not in _INSIDE), None)
    if cell.kind != "run" and first is not None:
        alone = {"teacher": "teacher alone", "baseline": "student alone"}[cell.kind]
        labels[first] = f"{alone} · {labels[first]}" if labels[first] else alone
    return tuple(labels)


def _entry(statistics: Statistics, cell: CellRecord, network: str, metric: str, published: PublishedRows) -> Datum:
    study = statistics.study
    figure = figure_for(published, cell, network, study.measures.get(metric))
    found = statistics.spread(cell, network, metric)
    beside = [_progress(cell)] if _progress(cell) else []
    if found is None:
        if figure is None and (cell.runs or network != ("T" if cell.kind == "teacher" else study.network)):
            return Datum("")
        mean = "" if figure is None else published_text(*figure)
        numbers = {} if figure is None else {"published": figure[0], "published ±": figure[1]}
        beside = [*(beside if not cell.runs else []), *([mean] if mean else [])]
        return Datum("–", beside=tuple(beside), is_warning=_has_failed(cell), numbers=numbers)
    difference = statistics.against_baseline(cell, network, metric) if cell.kind == "run" else None
    return measured(
        found,
        statistics.interval(cell, network, metric),
        is_share=study.is_share(metric),
        published=figure,
        mark=_MARKS.get(difference.word, "") if difference else "",
        is_best=statistics.is_best(cell, network, metric),
        beside=beside,
    )


def _has_failed(cell: CellRecord) -> bool:
    return any(job.status == "failed" for job in cell.jobs)


def _progress(cell: CellRecord) -> str:
    """What is not done yet; empty where all is."""
    statuses = [job.status for job in cell.jobs if not job.is_finished]
    if not statuses:
        return ""
    what = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    repeated = "seeds" if cell.jobs[0].fold is None else "folds"
    return f"{len(cell.jobs) - len(statuses)} of {len(cell.jobs)} {repeated}, {what}"


def _caption(study: StudyRecord, statistics: Statistics, published: PublishedRows) -> str:
    seeds = max((len(cell.runs) for cell in study.cells), default=0)
    intervals = list(statistics.intervals.values())
    if not seeds:
        return " ".join(["Nothing is finished yet.", *(_on_published(study, published) if published else ())])
    unit = "" if study.task == FEATURES else " in percent"
    words = [
        f"Test scores{unit}, mean ± sample standard deviation over {seeds} seeds."
        if seeds > 1
        else f"Test scores{unit}, of one seed: the spread over seeds is not known."
    ]
    if study.task == FEATURES:
        words.append("No label was read: they say how near students come to their teachers, and nothing of diagnoses.")
    if intervals:
        units = sorted({interval.units for interval in intervals})
        words.append(
            f"Ranges are 95 % bootstrap intervals of the mean over seeds, over {_numbers(units)} test {study.units}."
        )
        if units[0] < _FEW:
            words.append("So few make them too narrow.")
        if study.grouping and (narrow := narrow_for_patients(study.grouping)):
            words.append(narrow)
    if any(difference.holds for difference in statistics.differences):
        words.append(
            f"{BETTER} better and {WORSE} worse than the student alone; bold: better than every other of its network; "
            "both only where the difference holds (over samples and seeds, corrected for all comparisons)."
        )
    elif statistics.differences:
        words.append("Nothing is in bold: no difference holds (over samples and seeds, corrected for all comparisons).")
    if published:
        words += _on_published(study, published)
    return " ".join(words)


def _on_published(study: StudyRecord, published: PublishedRows) -> Iterable[str]:
    """What must be known of the printed figures."""
    is_beside = any(cell.runs for cell in study.cells)
    yield f"Published figures stand {'beside ours where the paper prints them' if is_beside else 'alone'}."
    found = {
        figure.mark
        for cell in study.cells
        for network in study.networks
        for metric in study.layout.metrics
        if (figure := figure_for(published, cell, network, study.measures.get(metric)))
    }
    for mark, words in MARKS.items():
        if mark in found:
            yield f"{mark} printed, but {words}."
    yield from contradiction(study)


def _numbers(values: list[int]) -> str:
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"
