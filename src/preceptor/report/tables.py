"""The tables beside that of the results."""

from collections.abc import Sequence
from pathlib import Path

from preceptor.groupings import units_of
from preceptor.measures import Spread, spread
from preceptor.report.drawing.grid import Datum, Grid, label, measured, number_datum, text_of
from preceptor.report.names import architecture_in_recipe
from preceptor.report.protocol import compression
from preceptor.report.reading.studies import StudyRecord
from preceptor.report.statistics import Statistics


def scores(study: StudyRecord, statistics: Statistics) -> Grid:
    """Every score of every network, on the test split."""
    tests = [run.test for run in study.finished]
    fidelities = [run.fidelity for run in study.finished]
    metrics = list(dict.fromkeys(metric for test in tests for found in test.values() for metric in found))
    metrics += dict.fromkeys(f"fidelity.{metric}" for one in fidelities for found in one.values() for metric in found)
    rows = []
    for cell in study.cells:
        for network in dict.fromkeys(name for run in cell.runs.values() for name in run.test):
            found = [statistics.spread(cell, network, metric) for metric in metrics]
            data = [
                Datum("")
                if one is None
                else measured(one, statistics.interval(cell, network, metric), is_share=study.is_share(metric))
                for metric, one in zip(metrics, found, strict=True)
            ]
            rows.append((label(cell.title), label(network), *data))
    observer = next((run.result.second_observer for run in study.finished if run.result), {})
    if observer:
        of_observer = [observer.get(metric) for metric in metrics]
        data = [Datum("") if one is None else Datum(text_of(one, is_share=True), one) for one in of_observer]
        rows.append((label("second observer"), label("a person"), *data))
    heads = ("method", "network", *map(study.label, metrics))
    between = (
        f" The second observer's masks, on {observer['images']:.0f} of the test images, are scored like a network's."
        if observer
        else ""
    )
    caption = f"Test split{_units(study, metrics)}; mean ± sample standard deviation over seeds.{between}"
    if statistics.intervals:
        caption += f" Ranges are 95 % bootstrap intervals of the mean over seeds, over test {study.units}."
        for metric in study.growing_with_noise(metric for _, _, metric in statistics.intervals):
            caption += f" {metric} of few samples comes out too large; its interval corrects that and may lie below it."
    return Grid("scores", "Every score", (heads,), tuple(rows), 2, caption)


def _units(study: StudyRecord, metrics: Sequence[str]) -> str:
    """Which scores are in percent, and how far outlines may be off, in words."""
    tolerance = next((answers.tolerance for run in study.finished if (answers := run.predictions)), "")
    named = [_with_unit(study, metric, tolerance) for metric in metrics if not study.is_share(metric)]
    within = f", outlines within {tolerance}" if tolerance else ""
    if len(named) == len(metrics):
        return within
    return ", in percent" + (f" but for {', '.join(named)}" if named else "") + within


def _with_unit(study: StudyRecord, metric: str, tolerance: str) -> str:
    measure = study.measures.get(metric)
    unit = "" if measure is None else tolerance.split()[-1] if measure.wants_surfaces and tolerance else measure.unit
    return f"{study.label(metric)} ({unit})" if unit else study.label(metric)


def differences(study: StudyRecord, statistics: Statistics) -> Grid:
    """Every paired comparison that was made."""
    rows = []
    for found in statistics.differences:
        seen = f"{found.samples:,}" + ("" if found.groups is None else f" in {found.groups:,}")
        rows.append(
            (
                label(found.first.title),
                label(found.second.title),
                label(found.network),
                label(found.tested),
                _gap(spread(found.seed_differences), found.margin),
                Datum(found.word, is_best=found.word == "better", is_warning=found.word == "worse"),
                Datum(_p(found.corrected), found.corrected),
                Datum(_p(found.comparison.p_value), found.comparison.p_value),
                Datum(_p(found.seed_p), found.seed_p),
                Datum(_p(found.both_p), found.both_p),
                Datum(f"{len(found.seed_differences)}", len(found.seed_differences)),
                Datum(seen, found.samples),
                label(found.comparison.test),
            )
        )
    heads = [
        "first",
        "second",
        "network",
        "score",
        "difference, points",
        "verdict",
        "p, corrected",
        f"p, {study.units}",
        "p, seeds",
        "p, both",
        "seeds",
    ]
    caption = (
        "First minus second on the same test samples, in one score a row: the difference and every p-value are of it. "
        "± is the deviation of the difference over seeds; below it stands its 95 % interval, that of p of both and not "
        f"corrected. p of {study.units}: would others say the same of these networks? p of seeds: would other seeds, "
        "each method with its own spread (Welch)? p of both: would others of both at once? The largest counts. Those "
        "of one score are corrected together (Holm): half of the level is that of comparisons with students alone, "
        "half that of all other pairs of methods. One seed shows nothing."
    )
    heads += [f"test samples (in {units_of(study.grouping)})" if study.grouping else "test samples", "test"]
    return Grid("differences", "Which differences hold", (tuple(heads),), tuple(rows), 4, caption)


def _gap(found: Spread, margin: float | None) -> Datum:
    """A difference in points, with its deviation over seeds and its interval."""
    if margin is None or found.deviation is None:
        return Datum(f"{100 * found.mean:+.2f}", found.mean, numbers={"": 100 * found.mean, "±": None})
    low, high, deviation = 100 * (found.mean - margin), 100 * (found.mean + margin), 100 * found.deviation
    numbers = {"": 100 * found.mean, "±": deviation, "low": low, "high": high}
    text, beside = f"{100 * found.mean:+.2f} ± {deviation:.2f}", (f"{low:+.2f} to {high:+.2f}",)
    return Datum(text, found.mean, beside=beside, numbers=numbers)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def runs(study: StudyRecord) -> Grid:
    """Every run that was asked for, with what became of it."""
    rows = []
    for cell in study.cells:
        for job in cell.jobs:
            result = job.run.result if job.run else None
            chosen = (job.run.chosen if job.run else None) or ""
            score = job.run.score(chosen, study.metric) if job.run and result else None
            source = f"reused from {_study_of(job.reused_from)}" if job.reused_from else None
            rows.append(
                (
                    label(cell.title),
                    Datum(str(job.seed) if job.fold is None else f"{job.seed}, fold {job.fold}", job.seed),
                    Datum(job.status, is_warning=job.status == "failed"),
                    label(chosen),
                    Datum("") if score is None else Datum(text_of(score, is_share=study.is_share(study.metric)), score),
                    number_datum(result.seconds if result else None),
                    number_datum(result.images_per_second if result else None),
                    Datum(job.name, beside=tuple(filter(None, (job.error, source))), is_warning=bool(job.error)),
                )
            )
    name = study.label(study.metric)
    heads = ("method", "seed", "status", "chosen on validation", f"its test {name}", "seconds", "images/s", "run")
    caption = f"{name} of the network that was chosen on validation, on the test part; images a second while training."
    return Grid("runs", "Every run", (heads,), tuple(rows), 1, caption[0].upper() + caption[1:])


def _study_of(run: str) -> str:
    """The name of the study in which a run folder lies, as STUDY/runs/ID."""
    return (Path("…", *Path(run).parts).parents[1]).name


def costs(study: StudyRecord) -> Grid | None:
    """What each network costs; None before a run is finished."""
    found: dict[tuple[str, str, object], tuple[Datum, ...]] = {}
    for run in study.finished:
        result = run.result
        if result is None:
            continue
        for network, parameters in result.parameters.items():
            what = architecture_in_recipe(run, network)
            side = "teacher" if network == "T" else "student"
            data = (
                number_datum(_scaled(parameters, 1e6), "{:.2f}"),
                number_datum(_scaled(result.multiply_adds.get(network), 1e6), "{:.1f}"),
                number_datum(_scaled(result.model_bytes.get(network), 2**20), "{:.1f}"),
            )
            found.setdefault((side, what, parameters), (label(side), label(what), *data))
    if not found:
        return None
    heads = ("role", "network", "parameters (M)", "multiply-adds (M)", "size (MiB)")
    caption = "Of one image through the network as it is exported; size of its weights on disk."
    said = " ".join(filter(None, (caption, compression(study))))
    return Grid("costs", "What the networks cost", (heads,), tuple(found.values()), 2, said)


def gradients(study: StudyRecord) -> Grid | None:
    """What each network's gradient is made of; None where nobody measured it."""
    rows = []
    stages: dict[str, None] = {}
    left_out: dict[str, list[str]] = {}
    for cell in study.cells:
        known = [pulls for run in cell.runs.values() if (pulls := run.analysis.gradients)]
        for network, term in dict.fromkeys((n, t) for one in known for n, ts in one.networks.items() for t in ts):
            found = [one.networks[network][term] for one in known if term in one.networks.get(network, {})]
            cosines = [one.cosine for one in found if one.cosine is not None]
            rows.append(
                (
                    label(cell.title),
                    label(network),
                    label(term.replace("->", "→")),
                    _spread(spread([100 * one.share for one in found]), "{:.1f}"),
                    _spread(spread([one.norm for one in found]), "{:.3g}"),
                    _spread(spread(cosines), "{:.2f}") if cosines else Datum(""),
                )
            )
        stages |= dict.fromkeys(one.stage for one in known if one.networks)
        for one in known:
            for network, why in one.left_out.items():
                left_out.setdefault(why, []).append(f"{network} of {cell.title}")
    if not rows:
        return None
    heads = ("method", "network", "loss term", "share, %", "norm", "cosine with own task")
    caption = (
        "Norm of each weighted loss term's gradient at the network's own parameters, and its share of the sum of the "
        f"norms of all terms, with the last weights of stage {', '.join(stages)}. A cosine below 0 pulls against the "
        "network's own task."
    )
    for why, whose in left_out.items():
        caption += f" Left out: {', '.join(dict.fromkeys(whose))}: {why}."
    return Grid("gradients", "Where the gradient comes from", (heads,), tuple(rows), 3, caption)


def _spread(found: Spread, form: str) -> Datum:
    deviation = "" if found.deviation is None else f" ± {form.format(found.deviation)}"
    numbers = {"": found.mean, "±": found.deviation, "seeds": found.count}
    return Datum(form.format(found.mean) + deviation, found.mean, numbers=numbers)


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit
