"""The tables of a report."""

from collections.abc import Iterable

from preceptor.measures import Spread, spread
from preceptor.report.grid import Datum, Grid, label, measured, number, text_of
from preceptor.report.published import Rows, figure_for
from preceptor.report.runs import Run
from preceptor.report.statistics import Statistics
from preceptor.report.studies import Cell, Study

METRIC_NAMES = {
    "accuracy": "accuracy",
    "f1": "F1",
    "auroc": "AUROC",
    "ece": "ECE",
    "iou": "IoU",
    "iou_per_image": "IoU per image",
    "f1_per_image": "F1 per image",
    "fidelity.agreement": "agreement with T",
    "fidelity.kl": "KL to T",
    "fidelity.iou": "IoU with T",
    "fidelity.f1": "F1 with T",
}
_INSIDE = ("network", "metric")
"""Axes of a layout that lie inside every cell of a study."""

BETTER, WORSE = "▲", "▼"
_MARKS = {"better": BETTER, "worse": WORSE}


def metric_name(metric: str) -> str:
    """A metric as it is printed."""
    return METRIC_NAMES.get(metric, metric)


def results(study: Study, statistics: Statistics, published: Rows = ()) -> Grid:
    """The table in the study's layout: teachers and students alone first, published figures beside one's own."""
    layout = study.layout
    axes = dict.fromkeys(axis for cell in study.cells for axis in cell.labels)
    known = {*axes, *_INSIDE}
    across = [axis for axis in layout.columns if axis in known]
    down = [axis for axis in layout.rows if axis in known]
    down += [axis for axis in axes if axis not in (*down, *across)]
    down += ["network"] if "network" not in (*down, *across) else []
    across += ["metric"] if "metric" not in (*down, *across) else []

    places = [(cell, n, metric) for cell in study.cells for n in _networks(study, cell) for metric in layout.metrics]
    whole = [_along(*place, across) for place in places if place[0].kind == "run"]
    columns = dict.fromkeys(column for column in whole if "" not in column)
    rows: dict[tuple[str, ...], dict[tuple[str, ...], tuple[Cell, str, str]]] = {}
    for place in places:
        mine = _along(*place, across)
        fitting = [column for column in columns if _agree(mine, column)] or [mine]
        columns |= dict.fromkeys(fitting)
        row = rows.setdefault(_row_labels(*place, down), {})
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


def _networks(study: Study, cell: Cell) -> tuple[str, ...]:
    return (
        ("T",) if cell.kind == "teacher" else tuple(n for n in study.layout.networks if cell.kind == "run" or n != "T")
    )


def _along(cell: Cell, network: str, metric: str, axes: Iterable[str]) -> tuple[str, ...]:
    """Where a score lies along the axes; empty on those that its cell does not name."""
    place = {**cell.labels, "network": network, "metric": metric_name(metric)}
    return tuple(place.get(axis, "") for axis in axes)


def _in_order(places: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Sorted by the first axis, then the second, and so on, the labels of each in the order of the study."""
    known = list(places)
    orders = [list(dict.fromkeys(labels)) for labels in zip(*known, strict=True)]
    return sorted(known, key=lambda place: [order.index(label) for order, label in zip(orders, place, strict=True)])


def _agree(place: Iterable[str], column: Iterable[str]) -> bool:
    """Whether what a cell says of the columns, if anything, is this column."""
    return all(mine in ("", theirs) for mine, theirs in zip(place, column, strict=True))


def _row_labels(cell: Cell, network: str, metric: str, axes: list[str]) -> tuple[str, ...]:
    """The labels of a row; students and teachers alone say so on the first axis of the study."""
    labels = list(_along(cell, network, metric, axes))
    first = next((place for place, axis in enumerate(axes) if axis not in _INSIDE), None)
    if cell.kind != "run" and first is not None:
        alone = {"teacher": "teacher alone", "baseline": "student alone"}[cell.kind]
        labels[first] = f"{alone} · {labels[first]}" if labels[first] else alone
    return tuple(labels)


def _entry(statistics: Statistics, cell: Cell, network: str, metric: str, published: Rows) -> Datum:
    study = statistics.study
    figure = figure_for(published, cell, network, metric)
    found = statistics.spread(cell, network, metric)
    beside = [_progress(cell)] if _progress(cell) else []
    if found is None:
        if figure is None and (cell.runs or network != study.network):
            return Datum("")
        mean = "" if figure is None else f"published {figure[0]:g}" + ("" if figure[1] is None else f" ± {figure[1]:g}")
        numbers = {} if figure is None else {"published": figure[0], "published ±": figure[1]}
        beside = [*(beside if not cell.runs else []), *([mean] if mean else [])]
        return Datum("–", beside=tuple(beside), is_warning=_has_failed(cell), numbers=numbers)
    difference = statistics.against_baseline(cell, network, metric) if cell.kind == "run" else None
    return measured(
        metric,
        found,
        statistics.interval(cell, network, metric),
        published=figure,
        mark=_MARKS.get(difference.word, "") if difference else "",
        is_best=statistics.is_best(cell, network, metric),
        beside=beside,
    )


def _has_failed(cell: Cell) -> bool:
    return any(job.status == "failed" for job in cell.jobs)


def _progress(cell: Cell) -> str:
    """What is not done yet; empty where all is."""
    if len(cell.runs) == len(cell.jobs):
        return ""
    statuses = [job.status for job in cell.jobs if job.run is None or job.run.result is None]
    what = ", ".join(f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses))
    return f"{len(cell.runs)} of {len(cell.jobs)} seeds, {what}"


def _caption(study: Study, statistics: Statistics, published: Rows) -> str:
    seeds = max((len(cell.runs) for cell in study.cells), default=0)
    intervals = list(statistics.intervals.values())
    words = [
        f"Test scores in percent, mean ± sample standard deviation over {seeds} seeds."
        if seeds > 1
        else "Test scores in percent, of one seed: the spread over seeds is not known."
    ]
    if intervals:
        units = sorted({interval.units for interval in intervals})
        what = _unit_name(study)
        words.append(f"Ranges are 95 % bootstrap intervals of the mean over seeds, over {_numbers(units)} test {what}.")
    if any(difference.word != "not distinguishable" for difference in statistics.differences):
        words.append(
            f"{BETTER} better and {WORSE} worse than the student alone; bold: better than every other of its network; "
            "both only where the difference holds (paired test, Holm-corrected, and every seed)."
        )
    elif statistics.differences:
        words.append("Nothing is in bold: no difference holds (paired tests, Holm-corrected, and every seed).")
    if published:
        words.append("Published figures stand beside ours where the paper prints them.")
    return " ".join(words)


def _unit_name(study: Study) -> str:
    run = next(iter(study.finished), None)
    if run is not None and run.group_of is not None:
        return str((run.result or {}).get("grouped_by") or "group") + "s"
    return "images" if study.task == "segmentation" else "samples"


def _numbers(values: list[int]) -> str:
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"


def scores(study: Study, statistics: Statistics) -> Grid:
    """Every score of every network, on the test split."""
    tests = [(run.result or {}).get("test", {}) for run in study.finished]
    fidelities = [(run.result or {}).get("fidelity", {}) for run in study.finished]
    metrics = list(dict.fromkeys(metric for test in tests for found in test.values() for metric in found))
    metrics += dict.fromkeys(f"fidelity.{metric}" for one in fidelities for found in one.values() for metric in found)
    rows = []
    for cell in study.cells:
        for network in dict.fromkeys(name for run in cell.runs.values() for name in (run.result or {})["test"]):
            found = [statistics.spread(cell, network, metric) for metric in metrics]
            data = [
                Datum("") if one is None else measured(metric, one) for metric, one in zip(metrics, found, strict=True)
            ]
            rows.append((label(cell.title), label(network), *data))
    heads = ("method", "network", *map(metric_name, metrics))
    caption = "Test split, in percent but for KL (nats); mean ± sample standard deviation over seeds."
    return Grid("scores", "Every score", (heads,), tuple(rows), 2, caption)


def differences(study: Study, statistics: Statistics) -> Grid:
    """Every paired comparison that was made."""
    rows = []
    for found in statistics.differences:
        gap = spread(found.seed_differences)
        deviation = "" if gap.deviation is None else f" ± {100 * gap.deviation:.2f}"
        seen = f"{found.samples:,}" + ("" if found.groups is None else f" in {found.groups:,}")
        rows.append(
            (
                label(found.first.title),
                label(found.second.title),
                label(found.network),
                Datum(f"{100 * gap.mean:+.2f}{deviation}", gap.mean, numbers={"": 100 * gap.mean, "±": _percent(gap)}),
                Datum(found.word, is_best=found.word == "better", is_warning=found.word == "worse"),
                Datum(_p(found.corrected), found.corrected),
                Datum(_p(found.comparison.p_value), found.comparison.p_value),
                Datum(f"{gap.count}", gap.count),
                Datum(seen, found.samples),
                label(found.tested),
                label(found.comparison.test),
            )
        )
    heads = ["first", "second", "network", "difference, points", "verdict", "p, corrected", "p", "seeds"]
    caption = (
        "First minus second on the same test samples. Scores are averaged over seeds sample by sample, then tested; "
        "± is the deviation of the difference over seeds. p-values of one score are corrected together (Holm)."
    )
    heads += ["test samples (in groups)", "score", "test"]
    return Grid("differences", "Which differences hold", (tuple(heads),), tuple(rows), 3, caption)


def _percent(found: Spread) -> float | None:
    return None if found.deviation is None else 100 * found.deviation


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def teachers(study: Study, statistics: Statistics) -> Grid | None:
    """Is the teacher any better than the student alone, on validation? None where nobody has a teacher."""
    rows = []
    for cell in study.cells:
        with_teacher = {seed: run for seed, run in cell.runs.items() if "T" in (run.result or {})["validation"]}
        if not with_teacher or cell.kind == "baseline":
            continue
        audit = audit_of(study, statistics, cell)
        base = statistics.baseline_of(cell) or _only_baseline(study)
        alone = list(base.runs.values()) if base else []
        metric = main_metric(study.task)
        rows.append(
            (
                label(cell.title),
                _validation(with_teacher.values(), "T", metric),
                _validation(with_teacher.values(), "T", "ece"),
                _validation(alone, None, metric),
                _validation(alone, None, "ece"),
                Datum(audit, is_warning=audit.startswith("NOT")),
            )
        )
    if not rows:
        return None
    name = metric_name(main_metric(study.task))
    heads = ("method", f"teacher {name}", "teacher ECE", f"best student alone {name}", "its ECE", "audit")
    keep = [place for place in range(len(heads)) if place in (0, 5) or any(row[place].text for row in rows)]
    caption = (
        "On validation, mean ± sample standard deviation over seeds. "
        + ("Accuracy is the agreement with the labels. " if study.task == "classification" else "")
        + "Where the teacher is not better than the student alone, a gain cannot be put down to its knowledge."
    )
    cut = tuple(tuple(row[place] for place in keep) for row in rows)
    return Grid("teachers", "Teacher audit", (tuple(heads[place] for place in keep),), cut, 1, caption)


def audit_of(study: Study, statistics: Statistics, cell: Cell) -> str:
    """In how many seeds the teacher is better than the best student alone of the same seed, in words."""
    base = statistics.baseline_of(cell) or _only_baseline(study)
    metric = main_metric(study.task)
    if base is None:
        return "not audited: no finished student alone"
    better, compared = 0, 0
    for seed, run in cell.runs.items():
        alone = base.runs.get(seed)
        teacher = run.score("T", metric, "validation")
        student = best_alone(alone, metric) if alone else None
        if teacher is not None and student is not None:
            compared += 1
            better += teacher > student
    if not compared:
        return "not audited: no student alone with its seed"
    if better == compared:
        return f"better in every seed ({compared})" if compared > 1 else "better (one seed)"
    return f"NOT better in {compared - better} of {compared} seeds" if compared > 1 else "NOT better (one seed)"


def main_metric(task: str) -> str:
    """The score by which weights are chosen."""
    return "accuracy" if task == "classification" else "iou"


def best_alone(run: Run, metric: str) -> float | None:
    """The best single student of a run without teacher, on validation."""
    names = [name for name in (run.result or {})["validation"] if not name.startswith("ensemble")]
    found = [score for name in names if (score := run.score(name, metric, "validation")) is not None]
    return max(found, default=None)


def _only_baseline(study: Study) -> Cell | None:
    """The students alone, where there is one kind of them: a teacher alone names no students."""
    found = [cell for cell in study.cells if cell.kind == "baseline" and cell.runs]
    return found[0] if len(found) == 1 else None


def _validation(runs: Iterable[Run], network: str | None, metric: str) -> Datum:
    values = []
    for run in runs:
        names = list((run.result or {})["validation"])
        if network is None:
            singles = [name for name in names if not name.startswith("ensemble")]
            chosen = max(singles, key=lambda name: run.score(name, main_metric(run.task), "validation") or 0.0)
        else:
            chosen = network
        value = run.score(chosen, metric, "validation")
        values += [value] if value is not None else []
    return measured(metric, spread(values)) if values else Datum("")


def runs(study: Study) -> Grid:
    """Every run that was asked for, with what became of it."""
    rows = []
    for cell in study.cells:
        for job in cell.jobs:
            result = job.run.result if job.run else None
            chosen = str((result or {}).get("chosen", ""))
            score = job.run.score(chosen, study.metric) if job.run and result else None
            rows.append(
                (
                    label(cell.title),
                    Datum(str(job.seed), job.seed),
                    Datum(job.status, is_warning=job.status == "failed"),
                    label(chosen),
                    Datum("") if score is None else Datum(text_of(study.metric, score), score),
                    number((result or {}).get("seconds")),
                    number((result or {}).get("images_per_second")),
                    Datum(job.name, beside=(job.error,) if job.error else (), is_warning=bool(job.error)),
                )
            )
    name = metric_name(study.metric)
    heads = ("method", "seed", "status", "chosen on validation", f"its test {name}", "seconds", "images/s", "run")
    return Grid("runs", "Every run", (heads,), tuple(rows), 1)


def costs(study: Study) -> Grid | None:
    """What each network costs; None before a run is finished."""
    found: dict[tuple[str, str, object], tuple[Datum, ...]] = {}
    fields = ("parameters", "multiply_adds", "model_bytes")
    for run in study.finished:
        result = run.result or {}
        for network, parameters in result.get("parameters", {}).items():
            values = [result.get(field, {}).get(network) for field in fields]
            what = architecture(run, network)
            side = "teacher" if network == "T" else "student"
            data = (
                number(_scaled(values[0], 1e6), "{:.2f}"),
                number(_scaled(values[1], 1e6), "{:.1f}"),
                number(_scaled(values[2], 2**20), "{:.1f}"),
            )
            found.setdefault((side, what, parameters), (label(side), label(what), *data))
    if not found:
        return None
    heads = ("role", "network", "parameters (M)", "multiply-adds (M)", "size (MiB)")
    return Grid("costs", "What the networks cost", (heads,), tuple(found.values()), 2)


def architecture(run: Run, network: str) -> str:
    """A network as the recipe names it."""
    networks = run.recipe.get("networks") or {}
    students = networks.get("students") or []
    if network == "T":
        spec = networks.get("teacher")
    elif students and network[1:].isdigit() and int(network[1:]) <= len(students):
        spec = students[int(network[1:]) - 1]
    else:
        spec = networks.get("student")
    if not spec:
        return network
    return f"{spec['architecture']} on {spec['encoder']}" if spec.get("encoder") else str(spec["architecture"])


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit
