"""Probes: what frozen networks know of the classes, beside what they cost, and whether the student is worth it."""

from collections.abc import Sequence

import numpy as np

from preceptor.measures.not_worse import MARGIN
from preceptor.measures.uncertainty import Interval
from preceptor.report.drawing.grid import Datum, Grid, label, measured
from preceptor.report.names import architecture_in_recipe
from preceptor.report.operating import gap_between
from preceptor.report.reading.runs import RunRecord
from preceptor.report.reading.studies import CellRecord, StudyRecord
from preceptor.report.statistics import Statistics

NEIGHBOURS = "{}_neighbours"


def probes(study: StudyRecord, statistics: Statistics, margin: float = MARGIN) -> Grid | None:
    """A row for each network of each probe, and the answer in words; None where nothing was probed."""
    rows, answers = [], []
    for cell in study.cells:
        run = next(iter(cell.runs.values()), None)
        if run is None or run.result is None or run.result.technique != "probe":
            continue
        rows += [_row(study, statistics, cell, run, network) for network in run.result.parameters]
        answers.append(f"{cell.title}: {worth(study, cell, run, margin)}")
    if not rows:
        return None
    name = study.label(study.metric)
    heads = (
        "method",
        "network",
        "architecture",
        f"{name}, logistic",
        f"{name}, neighbours",
        "parameters (M)",
        "multiply-adds (M)",
        "size (MiB)",
        "ms an image",
    )
    caption = (
        "Test split, in percent; embeddings of frozen networks, C of the logistic regression chosen on validation. "
        f"Milliseconds of one image, measured when the probe ended. {' '.join(answers)}"
    )
    return Grid("probes", "Is the student worth it?", (heads,), tuple(rows), 3, caption)


def _row(
    study: StudyRecord, statistics: Statistics, cell: CellRecord, run: RunRecord, network: str
) -> tuple[Datum, ...]:
    def scored(name: str) -> Datum:
        found = statistics.spread(cell, name, study.metric)
        if found is None:
            return Datum("")
        return measured(found, statistics.interval(cell, name, study.metric), is_share=study.is_share(study.metric))

    result = run.result
    assert result is not None, "asked of finished runs"
    costs = (
        (result.parameters.get(network), 1e6, "{:.2f}"),
        (result.multiply_adds.get(network), 1e6, "{:.1f}"),
        (result.model_bytes.get(network), 2**20, "{:.1f}"),
        (run.analysis.latency.get(network), 1.0, "{:.1f}"),
    )
    numbers = [Datum("") if value is None else Datum(form.format(value / unit), value) for value, unit, form in costs]
    what = architecture_in_recipe(run, network.partition("_")[0])
    return (
        label(cell.title),
        label(network),
        label(what),
        scored(network),
        scored(NEIGHBOURS.format(network)),
        *numbers,
    )


def worth(study: StudyRecord, cell: CellRecord, run: RunRecord, margin: float) -> str:
    """Whether the student is worth it: better than every other start of its architecture, and close to its teacher."""
    result = run.result
    assert result is not None, "asked of finished runs"
    student = run.chosen or result.chosen
    references = [name for name in result.parameters if name.startswith(f"{student}_")]
    against = {name: gap_between(study, cell, student, name) for name in references}
    known = {name: gap for name, gap in against.items() if gap is not None}
    said = [f"{student} minus {name} {_points(gap)}" for name, gap in known.items()]
    teacher = gap_between(study, cell, student, "T") if "T" in result.parameters else None
    if teacher is not None:
        said.append(f"{student} minus its teacher {_points(teacher)}{_cheaper(run, student)}")
    if not said:
        return "nothing stands beside the student, so it cannot be said whether it is worth it."
    return f"{_verdict(student, known, teacher, margin)} ({'; '.join(said)})."


def _verdict(student: str, references: dict[str, Interval], teacher: Interval | None, margin: float) -> str:
    worse = [name for name, gap in references.items() if gap.high < 0]
    unclear = [name for name, gap in references.items() if gap.low <= 0 <= gap.high]
    if worse:
        return f"no, {_listed(worse)} knows more than {student}"
    if unclear:
        return f"not shown: {student} cannot be told from {_listed(unclear)}"
    better = f"it knows more than {_listed(list(references))}" if references else "no other start is known"
    if teacher is None:
        return f"yes, {better}" if references else better
    if teacher.low > -margin:
        return f"yes, {better} and is not worse than its teacher by more than {100 * margin:g} points"
    if teacher.high < -margin:
        return (
            f"only where its cost counts: {better}, and is worse than its teacher by more than {100 * margin:g} points"
        )
    return f"{better}; whether it is worse than its teacher by more than {100 * margin:g} points is not known"


def _points(gap: Interval) -> str:
    return f"{100 * gap.value:+.2f} points, 95 % interval {100 * gap.low:+.2f} to {100 * gap.high:+.2f}"


def _cheaper(run: RunRecord, student: str) -> str:
    assert run.result is not None, "asked of finished runs"
    costs = [run.result.multiply_adds.get(name) for name in (student, "T")]
    if not all(costs):
        return ""
    own, teachers = (float(cost or np.nan) for cost in costs)
    return f", at {100 * own / teachers:.0f} % of its multiply-adds"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
