"""Is the teacher any better than the student alone? Asked on validation, before anyone trusts a gain."""

from collections.abc import Iterable

from preceptor.measures import main_measure, spread
from preceptor.measures.measure import AnyMeasure
from preceptor.report.drawing.grid import Datum, Grid, label, measured
from preceptor.report.reading.runs import RunRecord
from preceptor.report.reading.studies import CellRecord, StudyRecord
from preceptor.report.statistics import Statistics
from preceptor.runs.result import ConstantAnswer


def teachers(study: StudyRecord, statistics: Statistics) -> Grid | None:
    """Is the teacher any better than the student alone, on validation? None where nobody has a teacher."""
    main, *more = compared = [main_measure(study.task), *(one for one in study.measures.values() if one.is_audited)]
    rows = []
    for cell in study.cells:
        with_teacher = {seed: run for seed, run in cell.runs.items() if "T" in run.validation}
        if not with_teacher or cell.kind == "baseline":
            continue
        audit = audit_of(study, statistics, cell)
        base = statistics.baseline_of(cell) or _only_baseline(study)
        alone = list(base.runs.values()) if base else []
        noise = noise_of(cell)
        constant = [one.score for one in constant_answers(cell)]
        rows.append(
            (
                label(cell.title),
                *(_validation(with_teacher.values(), "T", one) for one in compared),
                *(_validation(alone, None, one) for one in compared),
                measured(spread(constant)) if constant else Datum(""),
                Datum(f"{audit}; {noise}" if noise else audit, is_warning=bool(noise) or audit.startswith("NOT")),
            )
        )
    if not rows:
        return None
    heads = (
        "method",
        *(f"teacher {one.label}" for one in compared),
        f"best student alone {main.label}",
        *(f"its {one.label}" for one in more),
        f"constant answer {main.label}",
        "audit",
    )
    last = len(heads) - 1
    keep = [place for place in range(len(heads)) if place in (0, last) or any(row[place].text for row in rows)]
    caption = (
        "On validation, mean ± sample standard deviation over seeds. "
        + ("Accuracy is the agreement with the labels. " if study.task == "classification" else "")
        + (
            "The constant answer is the majority class, or one class all over. "
            if any(row[last - 1].text for row in rows)
            else ""
        )
        + "Where the teacher is not better than the student alone, a gain cannot be put down to its knowledge."
    )
    cut = tuple(tuple(row[place] for place in keep) for row in rows)
    return Grid("teachers", "Teacher audit", (tuple(heads[place] for place in keep),), cut, 1, caption)


def audit_of(study: StudyRecord, statistics: Statistics, cell: CellRecord) -> str:
    """In how many seeds the teacher is better than the best student alone of the same seed, in words."""
    base = statistics.baseline_of(cell) or _only_baseline(study)
    metric = main_measure(study.task).key
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


def constant_answers(cell: CellRecord) -> list[ConstantAnswer]:
    """What each run's audit says of one answer for everything on validation; of older runs it is not known."""
    audits = (run.result.teacher_audit for run in cell.runs.values() if run.result)
    return [audit.constant_answer for audit in audits if audit and audit.constant_answer]


def noise_of(cell: CellRecord) -> str:
    """In how many seeds the teacher is not clearly better than a constant answer; empty where it always is."""
    beaten = [one.beaten for one in constant_answers(cell)]
    if all(beaten):
        return ""
    seeds = f"{beaten.count(False)} of {len(beaten)} seeds" if len(beaten) > 1 else "one seed"
    return f"not clearly better than a constant answer in {seeds}"


def best_alone(run: RunRecord, metric: str) -> float | None:
    """The best single student of a run without teacher, on validation."""
    names = [name for name in run.validation if not name.startswith("ensemble")]
    found = [score for name in names if (score := run.score(name, metric, "validation")) is not None]
    return max(found, default=None)


def _only_baseline(study: StudyRecord) -> CellRecord | None:
    """The students alone, where there is one kind of them: a teacher alone names no students."""
    found = [cell for cell in study.cells if cell.kind == "baseline" and cell.runs]
    return found[0] if len(found) == 1 else None


def _validation(runs: Iterable[RunRecord], network: str | None, measure: AnyMeasure) -> Datum:
    values = []
    for run in runs:
        names = list(run.validation)
        if network is None:
            singles = [name for name in names if not name.startswith("ensemble")]
            chosen = max(singles, key=lambda name: run.score(name, main_measure(run.task).key, "validation") or 0.0)
        else:
            chosen = network
        value = run.score(chosen, measure.key, "validation")
        values += [value] if value is not None else []
    return measured(spread(values), is_share=measure.is_share) if values else Datum("")
