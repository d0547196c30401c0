"""A methods paragraph to paste in a paper, from the recipes and the docstrings of what they name."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from preceptor.errors import UserError
from preceptor.groupings import narrow_for_patients
from preceptor.knowledge import catalogue
from preceptor.measures.claims import LEVEL
from preceptor.measures.table import main_measure
from preceptor.own_code import is_own
from preceptor.plan.show import formula
from preceptor.recipe import parse_recipe
from preceptor.report.names import architecture_in_recipe
from preceptor.report.reading.runs import RunRecord
from preceptor.report.reading.studies import StudyRecord
from preceptor.report.statistics import Statistics
from preceptor.specs import FEATURES
from preceptor.techniques import technique_rows

_BALANCED = {
    "over": "images of rarer classes were repeated until each class was as frequent as the most frequent one",
    "under": "images of each class were drawn anew in each epoch, as many as the rarest class has",
    "both": "in each epoch every class was shown as often as a class has images on average, drawn anew",
}
_DIRECTIONS = {"forward": "KL(target‖learner)", "reverse": "KL(learner‖target)"}
_MIXTURES = ("ml", "kd_offline", "kd_online", "kd_ml")


def methods_paragraph(study: StudyRecord, statistics: Statistics) -> list[str]:
    """What was done, from the recipes and from the docstrings of the techniques and losses, with their sources."""
    runs = [job.run for job in study.jobs if job.run is not None]
    if not runs:
        return []
    first = next(iter(study.finished), runs[0])
    paragraphs = [" ".join(_on_data(first)), " ".join(_on_networks(runs)), " ".join(_on_training(runs))]
    paragraphs.append(" ".join(_on_evaluation(study, statistics, first)))
    sources = _sources(runs)
    return [*filter(None, paragraphs), *(["Sources: " + " ".join(sources)] if sources else [])]


def _on_data(run: RunRecord) -> Iterable[str]:
    data, split, augment = (run.recipe.get(key) or {} for key in ("data", "split", "augment"))
    where = str(data.get("path") or "generated phantom tissue").rstrip("/").split("/")[-1]
    size = data.get("image_size")
    height, width = (size, size) if isinstance(size, int) else tuple(size or ("?", "?"))
    yield f"Images of {where} were used at {height} × {width} pixels."
    table = run.split
    if table is not None:
        counts = [int((table["split"] == part).sum()) for part in ("train", "validation", "test")]
        grouped = run.grouped_by
        by = f"by {grouped}, so that none occurs in two parts," if grouped else "by image (no groups were used)"
        spread = ", stratified by class" if run.task == "classification" and split.get("stratify", True) else ""
        yield (
            f"They were split {by} into {counts[0]:,} for training, {counts[1]:,} for validation and {counts[2]:,} "
            f"for testing{spread}."
        )
        if split.get("folds"):
            yield (
                f"This is the first of {split['folds']} folds: each is the test part once, and the test scores of a "
                "seed are those of all folds together."
            )
    if subset := data.get("subset"):
        drawn = ", equally many of each class" if subset.get("balanced") else ""
        yield f"Before that, {subset.get('count'):,} images were drawn{drawn}."
    if split.get("train_fraction", 1.0) != 1.0:
        yield f"Of the training part {100 * split['train_fraction']:g} % was used."
    yield from _on_labels(run, split)
    named = {
        "flip_horizontal": "horizontal flips",
        "flip_vertical": "vertical flips",
        "transpose": "transposition",
        "rotate": "rotation by up to {:g}°",
        "shift": "shifts by up to {} of the side",
        "scale": "changes of scale by up to {}",
        "stain": "stain jitter of strength {}",
        "colour": "colour jitter of strength {}",
    }
    used = [text.format(augment[key]) for key, text in named.items() if augment.get(key)]
    if used:
        yield f"Training images were augmented by {', '.join(used)}."


def _on_labels(run: RunRecord, split: Mapping[str, Any]) -> Iterable[str]:
    """What was known of the training images, where that is not everything."""
    if run.task == FEATURES:
        yield "No label was read, of no part."
    elif run.task == "segmentation":
        if masks := run.masks_known:
            yield f"Of the {masks[1]:,} training images {masks[0]:,} had a mask; the others were used without one."
    elif labels := split.get("labels"):
        known = f"{labels['per_class']:,}" if labels.get("per_class") else f"{100 * labels['fraction']:g} %"
        yield f"Of the training labels {known} of each class were known; the other images were used without theirs."


def _on_networks(runs: Sequence[RunRecord]) -> Iterable[str]:
    teachers = {_with_weights(run, "T") for run in runs if (run.recipe.get("networks") or {}).get("teacher")}
    students = {_with_weights(run, "S1") for run in runs if not _is_teacher(run)}
    if teachers:
        yield f"The teacher was {_or(teachers)}."
    if students:
        yield f"The students were {_or(students)}."
    rows = {row["technique"]: row for row in technique_rows()}
    used = dict.fromkeys(_technique(run).get("name", "") for run in runs)
    for name in used:
        if name in rows:
            what = rows[name]["what it does"].rstrip(".")
            yield f"{name}: {what[0].lower()}{what[1:]}{_settings(runs, name)}.{_formulas(runs, name)}"
    entries = catalogue.losses()
    for key in dict.fromkeys(key for run in runs for key in _losses(run)):
        if key in entries:
            what = entries[key].summary.rstrip(".")
            yield f"Knowledge loss {key}: {what[0].lower()}{what[1:]}."


def _settings(runs: Sequence[RunRecord], name: str) -> str:
    """The values that matter of a technique's options, where all runs agree or a few values occur."""
    mine = [_technique(run) for run in runs if _technique(run).get("name") == name]
    parts = []
    for key in ("strategy", "diverse", "weights", "temperature", "alpha", "beta", "gamma", "direction"):
        values = list(dict.fromkeys(str(one[key]) for one in mine if one.get(key) is not None))
        if key == "diverse" and ("diverse" not in {one.get("strategy") for one in mine} or name == "kd_ml"):
            continue
        if values and name != "baseline" and not (key == "strategy" and all(one.get("losses") for one in mine)):
            parts.append(f"{key} {', '.join(values)}")
    return f" ({'; '.join(parts)})" if parts else ""


def _formulas(runs: Sequence[RunRecord], name: str) -> str:
    """What each student of a technique minimised, where all its runs agree."""
    found: dict[str, set[str]] = {}
    for run in () if name == "baseline" or is_own(name) else runs:  # reading runs nobody's own file
        if _technique(run).get("name") != name:
            continue
        try:
            recipe = parse_recipe(run.recipe)
            plan = recipe.plan()
        except UserError:  # of another version
            return ""
        for student in plan.students:
            found.setdefault(student, set()).add(formula(plan.stages[-1], student, recipe.task))
    if not found or any(len(formulas) > 1 for formulas in found.values()):
        return ""
    students: dict[str, list[str]] = {}
    for student, (one,) in found.items():
        students.setdefault(one, []).append(student)
    return f" Minimised was {'; '.join(f'{one} (by {_and(names)})' for one, names in students.items())}."


def _on_training(runs: Sequence[RunRecord]) -> Iterable[str]:
    def of(key: str, part: str = "training") -> str:
        found = dict.fromkeys(str((run.recipe.get(part) or {}).get(key)) for run in runs)
        return " or ".join(found)

    yield (
        f"Every network was trained with {of('optimizer')} for {of('epochs')} epochs, batch size {of('batch_size')}, "
        f"learning rate {of('lr')} with a {of('schedule')} schedule and weight decay {of('weight_decay')}, "
        f"in precision {of('precision')}."
    )
    changed = dict.fromkeys(
        ", ".join(f"{key} {value}" for key, value in (run.recipe.get("teacher_training") or {}).items()) for run in runs
    )
    own = [text for text in changed if text]
    if own:
        yield f"A teacher trained alone differed in {' or '.join(own)}."
    balance = [one for key in dict.fromkeys((run.recipe.get("training") or {}).get("balance") for run in runs)
               if (one := _BALANCED.get(str(key)))]  # fmt: skip
    if balance:
        yield f"In training, classes were balanced: {' or '.join(balance)}."
    if used := dict.fromkeys(_technique(run).get("direction") for run in runs if _shares_predictions(run)):
        directions = " or ".join(_DIRECTIONS[str(one)] for one in used if str(one) in _DIRECTIONS)
        yield f"The divergence of predictions was {directions}, multiplied by the squared temperature."
    seeds = sorted({run.seed for run in runs})
    yield f"Seeds: {', '.join(map(str, seeds))}."
    monitor = of("monitor")
    score = main_measure(runs[0].task).label if monitor == "None" else monitor
    yield f"The weights with the best validation {score} were kept; the test part was evaluated once, at the end."


def _shares_predictions(run: RunRecord) -> bool:
    """Whether networks share their predictions by the technique's own divergence."""
    technique = _technique(run)
    by_strategy = technique.get("strategy") in ("predictions", "diverse") and not technique.get("losses")
    return technique.get("name") in _MIXTURES and by_strategy


def _on_evaluation(study: StudyRecord, statistics: Statistics, run: RunRecord) -> Iterable[str]:
    names = ", ".join(study.label(metric) for metric in study.layout.metrics)
    yield f"Reported are test {names} as mean ± sample standard deviation over seeds."
    if statistics.intervals:
        yield f"Intervals are 95 % percentile bootstrap intervals of that mean over {study.units} (2,000 resamples)."
        if study.grouping and (narrow := narrow_for_patients(study.grouping)):
            yield narrow
        if growing := study.growing_with_noise(study.layout.metrics):
            named = " and ".join(growing)
            yield f"Those of {named} are basic bootstrap intervals, which correct its bias in small samples."
    tests = list(dict.fromkeys(difference.comparison.test for difference in statistics.differences))
    if tests:
        yield (
            f"Methods were compared on the same test samples, with samples averaged over seeds "
            f"({', '.join(tests)}; two-sided), by their means over seeds (Welch's t-test) and by the sum of both "
            f"variances (t-test with Satterthwaite's degrees of freedom); the largest p-value was corrected over all "
            f"comparisons of a score by Holm's weighted method (level {LEVEL:g}), half of the level for comparisons "
            f"with students alone and half for all other pairs of methods."
        )
    packages = run.environment.get("packages") or {}
    if run.environment:
        versions = ", ".join(f"{name} {version}" for name, version in packages.items())
        yield (
            f"Software: preceptor {run.environment.get('preceptor')}, Python {run.environment.get('python')}, "
            f"{versions}; device {run.environment.get('device')}, {run.environment.get('threads')} compute threads."
        )


def _sources(runs: Sequence[RunRecord]) -> list[str]:
    rows = {row["technique"]: row["source"] for row in technique_rows()}
    entries = catalogue.losses()
    techniques = dict.fromkeys(_technique(run).get("name", "") for run in runs)
    keys = dict.fromkeys(key for run in runs for key in _losses(run))
    found = [f"{name}: {rows[name].rstrip('.')}." for name in techniques if rows.get(name)]
    return found + [
        f"{key}: {entries[key].source.rstrip('.')}." for key in keys if key in entries and entries[key].source
    ]


def _technique(run: RunRecord) -> Mapping[str, Any]:
    found: Mapping[str, Any] = run.recipe.get("technique") or {}
    return found


def _losses(run: RunRecord) -> list[str]:
    technique = _technique(run)
    named = [*(technique.get("losses") or ()), *(technique.get("edges") or ()), technique.get("hint")]
    return [str(one["loss"]) for one in named if isinstance(one, dict) and "loss" in one]


def _is_teacher(run: RunRecord) -> bool:
    technique = _technique(run)
    return technique.get("name") == "baseline" and technique.get("network") == "teacher"


def _with_weights(run: RunRecord, network: str) -> str:
    networks = run.recipe.get("networks") or {}
    students = networks.get("students") or [networks.get("student") or {}]
    spec = (networks.get("teacher") if network == "T" else students[0]) or {}
    weights = str(spec.get("weights"))
    start = {"none": "trained from scratch", "imagenet": "started from ImageNet weights"}.get(
        weights, "from own weights"
    )
    return f"{architecture_in_recipe(run, network)} ({start})"


def _and(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _or(values: Iterable[str]) -> str:
    return " or ".join(sorted(values))
