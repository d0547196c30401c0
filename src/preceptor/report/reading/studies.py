"""Which runs belong together and what tells them apart: a study's own index, or what differs between loose runs."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from preceptor.groupings import units_of
from preceptor.measures.measure import Measures
from preceptor.measures.table import main_measure, with_own
from preceptor.places import place_free
from preceptor.quoting import one_line
from preceptor.report.reading.folds import pooled_folds
from preceptor.report.reading.runs import CHOSEN, RunRecord
from preceptor.runs.analysis import Analysis

Labels = Mapping[str, str]

NETWORKS = ("T", "S1", "S2", "ensemble", "ensemble_mean")

KINDS = ("teacher", "baseline", "run")
STATUSES = ("done", "running", "unfinished", "waiting", "failed")
"""``unfinished`` is a loose run without a result: whether it still runs is not known."""

SAME_RESULT = (
    "name",
    "seed",
    "measures",
    "split.fold",
    "data.cache",
    "technique.teacher",
    "technique.student_alone",
    "training.workers",
    "training.tensorboard",
    "training.trackers",
)
"""Recipe fields in which runs of one cell may differ."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One run that was asked for, whatever became of it.

    Args:
        kind: ``teacher`` or ``baseline`` (students without teacher), what everything is compared with, or ``run``.
        status: one of :data:`STATUSES`.
        run: its folder's content, where it has begun.
        reused_from: the folder of another study that the run was copied from.
        is_damaged: whether its folder cannot be read, as ``error`` says.
    """

    name: str
    kind: str
    labels: Labels
    seed: int
    status: str
    error: str | None
    run: RunRecord | None
    fold: int | None = None
    reused_from: str | None = None
    is_damaged: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether there is a result to report."""
        return self.run is not None and self.run.result is not None


@dataclass(frozen=True, eq=False)
class CellRecord:
    """The same thing with several seeds."""

    kind: str
    labels: Labels
    jobs: tuple[JobRecord, ...]

    @cached_property
    def runs(self) -> dict[int, RunRecord]:
        """Finished runs by seed; the folds of a seed are one, once all of them are finished."""
        of_seed: dict[int, list[JobRecord]] = defaultdict(list)
        for job in self.jobs:
            of_seed[job.seed].append(job)
        return {
            seed: pooled_folds([job.run for job in jobs if job.run is not None])
            for seed, jobs in of_seed.items()
            if all(job.is_finished for job in jobs)
        }

    @property
    def title(self) -> str:
        """In words."""
        kinds = {"teacher": "teacher alone", "baseline": "student alone"}
        words = [kinds[self.kind]] if self.kind in kinds else []
        words += [value if _speaks(name) else f"{name} {value}" for name, value in self.labels.items()]
        return " · ".join(dict.fromkeys(words)) or "the run"

    def agrees_with(self, labels: Labels) -> bool:
        """Whether no axis that both name differs."""
        return all(self.labels.get(axis, value) == value for axis, value in labels.items())


@dataclass(frozen=True, slots=True)
class TableLayout:
    """How the results lie in a table; the axes ``network`` and ``metric`` come last unless they are named."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    networks: tuple[str, ...]
    metrics: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class StudyRecord:
    """Runs that are reported together.

    Args:
        folder: of the study, or the one below which the loose runs lie.
        file: a study's own ``study.yaml``.
        is_published_protocol: whether it repeats what a paper did; None where nobody claims it.
        published: the file and table of published figures.
    """

    folder: Path
    name: str
    title: str
    task: str
    scale: str | None
    is_published_protocol: bool | None
    layout: TableLayout
    published: tuple[str, str] | None
    jobs: tuple[JobRecord, ...]
    file: Path | None = None
    analysis: Analysis = field(default_factory=Analysis)

    @cached_property
    def cells(self) -> tuple[CellRecord, ...]:
        """Teachers, then baselines, then everything else in the order of the study."""
        found: dict[tuple[Any, ...], list[JobRecord]] = defaultdict(list)
        for kind in KINDS:
            for job in self.jobs:
                if job.kind == kind:
                    found[(kind, *job.labels.items())].append(job)
        return tuple(
            CellRecord(jobs[0].kind, jobs[0].labels, tuple(jobs))
            for shared in found.values()
            for jobs in _variants(shared)
        )

    @property
    def finished(self) -> tuple[RunRecord, ...]:
        """Every finished run once."""
        return tuple(run for cell in self.cells for run in cell.runs.values())

    @cached_property
    def measures(self) -> Measures:
        """Every measure that its runs may have."""
        runs = [job.run for job in self.jobs if job.run]
        classes = {found for run in runs if (found := run.scored_classes)}
        same = classes.pop() if len(classes) == 1 else ()  # of runs on several sets, classes are not compared
        return with_own(self.task, (one for run in runs for one in run.own), same)

    @property
    def tested(self) -> tuple[str, ...]:
        """Metrics in which methods are compared: those of the layout, and AUROC where it can be."""
        more = [key for key, one in self.measures.items() if one.is_compared]
        return tuple(dict.fromkeys((self.metric, *self.layout.metrics, *more)))

    @property
    def metric(self) -> str:
        """The one that verdicts are about: the layout's first in which networks are compared, else the task's main."""
        compared = {key for key, one in self.measures.items() if one.paired}
        return next((metric for metric in self.layout.metrics if metric in compared), main_measure(self.task).key)

    def label(self, metric: str) -> str:
        """A metric as it is printed."""
        return self.measures[metric].label if metric in self.measures else metric

    def is_share(self, metric: str) -> bool:
        """Whether a metric is shown in percent."""
        return metric not in self.measures or self.measures[metric].is_share

    def as_printed(self, metric: str) -> tuple[float, str]:
        """By what a metric is multiplied to be shown, and what an axis says behind its name: shares are in percent."""
        return (100.0, ", %") if self.is_share(metric) else (1.0, "")

    def higher_is_better(self, metric: str) -> bool:
        """Which way of a metric is good."""
        return metric not in self.measures or self.measures[metric].higher_is_better

    def growing_with_noise(self, metrics: Iterable[str]) -> list[str]:
        """Those of ``metrics`` that few samples make too large, as they are printed."""
        found = (self.measures[metric] for metric in metrics if metric in self.measures)
        return list(dict.fromkeys(one.label for one in found if one.grows_with_noise))

    @cached_property
    def network(self) -> str:
        """The one that verdicts are about: what was chosen on validation, which is what would be deployed.

        Its own name where every run chose the same; the layout's first student where nothing is finished.
        """
        found = {run.chosen for cell in self.cells if cell.kind != "teacher" for run in cell.runs.values()} - {None}
        if len(found) > 1:
            return CHOSEN
        return next(iter(found), None) or next((name for name in self.layout.networks if name != "T"), "T")

    @cached_property
    def networks(self) -> tuple[str, ...]:
        """Those of the layout, and what the verdict is about where that is none of them."""
        return tuple(dict.fromkeys((*self.layout.networks, self.network)))

    @property
    def grouping(self) -> str | None:
        """What the groups of its test samples are, such as ``patient``; None where no groups are known."""
        run = next(iter(self.finished), None)
        return None if run is None or run.group_of is None else run.grouped_by or "group"

    @property
    def units(self) -> str:
        """What is drawn and exchanged as a whole: patients, lesions, or else single samples or images."""
        return units_of(self.grouping) if self.grouping else "images" if self.task == "segmentation" else "samples"

    @property
    def is_small(self) -> bool:
        """Whether every page must say that this is not the published protocol."""
        return self.is_published_protocol is False and (self.scale is not None or self.published is not None)


def flat(recipe: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every field; lists are values."""
    for key, value in recipe.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _variants(jobs: Sequence[JobRecord]) -> list[list[JobRecord]]:
    """The jobs of one place; students or teachers of several budgets share one where no axis tells them apart.

    The index lists them in the same order for every seed.
    """
    repeated: dict[tuple[int, int | None], list[JobRecord]] = defaultdict(list)
    for job in jobs:
        repeated[job.seed, job.fold].append(job)
    most = max(map(len, repeated.values()))
    if most == 1:
        return [list(jobs)]
    variants = [[one[k] for one in repeated.values() if k < len(one)] for k in range(most)]
    recipes = [dict(flat(next((job.run.recipe for job in variant if job.run), {}))) for variant in variants]
    keys = dict.fromkeys(key for recipe in recipes for key in recipe if key not in SAME_RESULT)
    differing = [key for key in keys if len({as_text(recipe.get(key)) for recipe in recipes}) > 1][:2]
    named = []
    for number, (variant, recipe) in enumerate(zip(variants, recipes, strict=True), start=1):
        more = (
            {key: as_label(recipe.get(key)) for key in differing} if recipe and differing else {"variant": str(number)}
        )
        named.append([replace(job, labels={**job.labels, **more}) for job in variant])
    return named


def as_text(value: Any) -> str:
    """A recipe's value as a label."""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def as_label(value: Any) -> str:
    """A recipe's value as it is shown: on one line, and without where this machine keeps a file."""
    return one_line(as_text(place_free(value)))


def _speaks(axis: str) -> bool:
    """Whether an axis's values are understood without its name."""
    return axis in ("technique", "strategy", "losses", "method", "run", "student", "students", "network", "teacher")
