"""Which runs belong together and what tells them apart: a study's own index, or what differs between loose runs."""

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from preceptor.errors import UserError
from preceptor.report.runs import Note, Run, analysis_in, read_run

Labels = Mapping[str, str]

NETWORKS = ("T", "S1", "S2", "ensemble", "ensemble_mean")
MAIN_METRICS = {"classification": ("accuracy", "auroc"), "segmentation": ("iou", "f1", "iou_per_image")}
"""Scores in which methods can be compared, the usual one first."""

_KINDS = ("teacher", "baseline", "run")
STATUSES = ("done", "running", "unfinished", "waiting", "failed")
"""``unfinished`` is a loose run without a result: whether it still runs is not known."""

_INSIDE_A_RUN = {"checkpoints", "networks", "predictions", "analysis", "tensorboard"}
_SAME_RESULT = (
    "name",
    "seed",
    "data.cache",
    "technique.teacher",
    "technique.student_alone",
    "training.workers",
    "training.tensorboard",
)
"""Recipe fields in which runs of one cell may differ."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run that was asked for, whatever became of it.

    Args:
        kind: ``teacher`` or ``baseline`` (students without teacher), what everything is compared with, or ``run``.
        status: one of :data:`STATUSES`.
        run: its folder's content, where it has begun.
    """

    name: str
    kind: str
    labels: Labels
    seed: int
    status: str
    error: str | None
    run: Run | None


@dataclass(frozen=True, eq=False)
class Cell:
    """The same thing with several seeds."""

    kind: str
    labels: Labels
    jobs: tuple[Job, ...]

    @cached_property
    def runs(self) -> dict[int, Run]:
        """Finished runs by seed."""
        return {job.seed: job.run for job in self.jobs if job.run is not None and job.run.result is not None}

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
class Layout:
    """How the results lie in a table; the axes ``network`` and ``metric`` come last unless they are named."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    networks: tuple[str, ...]
    metrics: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Study:
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
    layout: Layout
    published: tuple[str, str] | None
    jobs: tuple[Job, ...]
    file: Path | None = None
    analysis: tuple[Note, ...] = ()

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Teachers, then baselines, then everything else in the order of the study."""
        found: dict[tuple[Any, ...], list[Job]] = defaultdict(list)
        for kind in _KINDS:
            for job in self.jobs:
                if job.kind == kind:
                    found[(kind, *job.labels.items())].append(job)
        return tuple(
            Cell(jobs[0].kind, jobs[0].labels, tuple(jobs)) for shared in found.values() for jobs in _variants(shared)
        )

    @property
    def finished(self) -> tuple[Run, ...]:
        """Every finished run once."""
        return tuple(run for cell in self.cells for run in cell.runs.values())

    @property
    def tested(self) -> tuple[str, ...]:
        """Metrics in which methods are compared: those of the layout, and AUROC where it can be."""
        more = ("auroc",) if self.task == "classification" else ()
        return tuple(dict.fromkeys((self.metric, *self.layout.metrics, *more)))

    @property
    def metric(self) -> str:
        """The one that verdicts are about: the layout's first that is a main score of the task, else the first such."""
        main = MAIN_METRICS[self.task]
        return next((metric for metric in self.layout.metrics if metric in main), main[0])

    @property
    def network(self) -> str:
        """The one that verdicts are about: the layout's first that is no teacher."""
        return next((name for name in self.layout.networks if name != "T"), "T")

    @property
    def is_small(self) -> bool:
        """Whether every page must say that this is not the published protocol."""
        return self.is_published_protocol is False and (self.scale is not None or self.published is not None)


def find_studies(folders: Sequence[Path]) -> list[Study]:
    """The studies and loose runs in ``folders`` and below.

    Raises:
        UserError: no run there, or a damaged file.
    """
    studies: list[Study] = []
    loose: list[Run] = []
    taken: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder; give that of a run, of a study, or one that holds them")
        indexes, runs = _below(folder)
        for path in indexes:
            study = _read_index(path)
            studies.append(study)
            taken |= {job.run.folder.resolve() for job in study.jobs if job.run}
            # What an older form of the study left is nobody's result, and is not mixed in.
            runs = [run for run in runs if not run.resolve().is_relative_to(path.parent.resolve())]
        for path in runs:
            if path.resolve() not in taken:
                taken.add(path.resolve())
                loose.append(read_run(path, str(path.relative_to(folder)) if path != folder else path.name))
    root = folders[0] if len(folders) == 1 else Path()
    studies += _of_loose(loose, root)
    if not studies:
        raise UserError(
            f"no run in {', '.join(map(str, folders))}: a run folder holds recipe.yaml, a study's holds index.json; "
            "train one with `preceptor train RECIPE`"
        )
    return studies


def flat(recipe: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every field; lists are values."""
    for key, value in recipe.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _below(folder: Path) -> tuple[list[Path], list[Path]]:
    """Index files of studies and folders of runs."""
    indexes, runs = [], []
    for where, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if name not in _INSIDE_A_RUN and not name.startswith("."))
        if "recipe.yaml" in files:
            runs.append(Path(where))
        if "index.json" in files and "study.yaml" in files:
            indexes.append(Path(where) / "index.json")
    return indexes, runs


def _read_index(path: Path) -> Study:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        layout = index["layout"]
        rows, columns, networks, metrics = (
            tuple(map(str, layout.get(part) or ())) for part in ("rows", "columns", "networks", "metrics")
        )
        published = index.get("published")
        return Study(
            folder=path.parent,
            name=str(index["name"]),
            title=str(index.get("title") or index["name"]),
            task=str(index["task"]),
            scale=index.get("scale"),
            is_published_protocol=index.get("published_protocol"),
            layout=Layout(rows, columns, networks or NETWORKS, metrics or MAIN_METRICS[str(index["task"])][:1]),
            published=(str(published["file"]), str(published["table"])) if published else None,
            jobs=tuple(_read_job(path.parent, job) for job in index["jobs"]),
            file=path.parent / "study.yaml",
            analysis=analysis_in(path.parent),
        )
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is not readable JSON: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no index of a study: {type(error).__name__} at {error}") from None


def _read_job(folder: Path, job: Mapping[str, Any]) -> Job:
    path = folder / str(job["folder"])
    run = read_run(path, str(job["folder"])) if (path / "recipe.yaml").exists() else None
    # The folder knows better than an index whose writer was killed.
    status = "done" if run and run.result is not None else str(job["status"])
    if status not in STATUSES:
        raise UserError(f"job {job['id']!r} has the status {status!r}; there are {', '.join(STATUSES)}")
    return Job(
        name=str(job["id"]),
        kind=str(job["kind"]),
        labels={str(axis): str(label) for axis, label in (job.get("cell") or {}).items()},
        seed=int(job["seed"]) if job.get("seed") is not None else 0,
        status=status,
        error=job.get("error") if status != "done" else None,
        run=run,
    )


# Loose runs ------------------------------------------------------------------------------------------------------


def _of_loose(runs: Iterable[Run], root: Path) -> list[Study]:
    """Runs on the same data stand in one table."""
    together: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        data = run.recipe.get("data") or {}
        same = (run.task, data.get("source"), data.get("path"), data.get("options"))
        together[json.dumps(same, sort_keys=True, default=str)].append(run)
    return [_loose(found, root) for found in together.values()]


def _loose(runs: Sequence[Run], root: Path) -> Study:
    names = list(dict.fromkeys(str(run.recipe["name"]) for run in runs if run.recipe.get("name")))
    jobs = _labelled([_loose_job(run) for run in runs])
    axes = list(dict.fromkeys(axis for job in jobs for axis in job.labels))
    present = {network for run in runs if run.result for network in run.result.get("test", {})}
    others = sorted(present - set(NETWORKS))
    task = runs[0].task
    title = ", ".join(names) or (root.resolve().name if len(runs) > 1 else runs[0].name)
    return Study(
        folder=root,
        name="-".join(names) or "runs",
        title=title,
        task=task,
        scale=None,
        is_published_protocol=None,
        layout=Layout(
            rows=tuple(axes),
            columns=("network",),
            networks=tuple(name for name in (*NETWORKS, *others) if name in present) or ("S1",),
            metrics=MAIN_METRICS[task][:1],
        ),
        published=None,
        jobs=tuple(jobs),
    )


def _loose_job(run: Run) -> Job:
    technique = run.recipe.get("technique") or {}
    is_baseline = technique.get("name") == "baseline"
    kind = ("teacher" if technique.get("network") == "teacher" else "baseline") if is_baseline else "run"
    return Job(
        name=run.name,
        kind=kind,
        labels={} if is_baseline else _technique_labels(technique),
        seed=run.seed,
        status="done" if run.result is not None else "unfinished",
        error=None,
        run=run,
    )


def _technique_labels(technique: Mapping[str, Any]) -> dict[str, str]:
    """What a technique is called for short."""
    losses = [str(loss.get("loss")) for loss in technique.get("losses") or () if isinstance(loss, dict)]
    if hint := technique.get("hint"):
        losses.insert(0, f"hint {hint.get('loss')}")
    labels = {"technique": str(technique.get("name"))}
    if losses:
        labels["losses"] = " + ".join(losses)
    elif technique.get("strategy"):
        labels["strategy"] = str(technique["strategy"])
    return labels


def _labelled(jobs: Sequence[Job]) -> list[Job]:
    """The jobs, with one more label for each recipe field in which some of one label differ."""
    alike: dict[tuple[Any, ...], list[Job]] = defaultdict(list)
    for job in jobs:
        alike[(job.kind, *job.labels.items())].append(job)
    done: list[Job] = []
    for group in alike.values():
        recipes = [{k: v for k, v in flat(job.run.recipe) if k not in _SAME_RESULT} for job in group if job.run]
        keys = list(dict.fromkeys(key for recipe in recipes for key in recipe))
        # Where the split follows the run's seed it differs with it, which makes no other cell.
        differing = [key for key in keys if len({_text(recipe.get(key)) for recipe in recipes}) > 1]
        named = [
            replace(job, labels={**job.labels, **{key: _text(recipe.get(key)) for key in differing}})
            for job, recipe in zip(group, recipes, strict=True)
        ]
        repeated = len({(job.seed, *job.labels.items()) for job in named}) < len(named)
        done += [replace(job, labels={**job.labels, "run": job.name}) if repeated else job for job in named]
    order = {job.name: place for place, job in enumerate(jobs)}
    return sorted(done, key=lambda job: order[job.name])


def _variants(jobs: Sequence[Job]) -> list[list[Job]]:
    """The jobs of one place; students or teachers of several budgets share one where no axis tells them apart.

    The index lists them in the same order for every seed.
    """
    of_seed: dict[int, list[Job]] = defaultdict(list)
    for job in jobs:
        of_seed[job.seed].append(job)
    if max(map(len, of_seed.values())) == 1:
        return [list(jobs)]
    variants = [[one[k] for one in of_seed.values() if k < len(one)] for k in range(max(map(len, of_seed.values())))]
    recipes = [dict(flat(next((job.run.recipe for job in variant if job.run), {}))) for variant in variants]
    keys = dict.fromkeys(key for recipe in recipes for key in recipe if key not in _SAME_RESULT)
    differing = [key for key in keys if len({_text(recipe.get(key)) for recipe in recipes}) > 1][:2]
    named = []
    for number, (variant, recipe) in enumerate(zip(variants, recipes, strict=True), start=1):
        more = {key: _text(recipe.get(key)) for key in differing} if recipe and differing else {"variant": str(number)}
        named.append([replace(job, labels={**job.labels, **more}) for job in variant])
    return named


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _speaks(axis: str) -> bool:
    """Whether an axis's values are understood without its name."""
    return axis in ("technique", "strategy", "losses", "method", "run", "students", "network", "teacher")
