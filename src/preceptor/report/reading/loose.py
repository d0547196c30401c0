"""Runs that no study's index names: what differs between their recipes tells them apart."""

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from preceptor.measures.table import main_measure
from preceptor.report.reading.runs import RunRecord
from preceptor.report.reading.studies import (
    NETWORKS,
    SAME_RESULT,
    JobRecord,
    StudyRecord,
    TableLayout,
    as_label,
    as_text,
    flat,
)


def of_loose(runs: Iterable[RunRecord], root: Path) -> list[StudyRecord]:
    """Runs on the same data stand in one table."""
    together: dict[str, list[RunRecord]] = defaultdict(list)
    for run in runs:
        data = run.recipe.get("data") or {}
        same = (run.task, data.get("source"), data.get("path"), data.get("options"))
        together[json.dumps(same, sort_keys=True, default=str)].append(run)
    return [_loose(found, root) for found in together.values()]


def _loose(runs: Sequence[RunRecord], root: Path) -> StudyRecord:
    names = list(dict.fromkeys(str(run.recipe["name"]) for run in runs if run.recipe.get("name")))
    jobs = _labelled([_loose_job(run) for run in runs])
    axes = list(dict.fromkeys(axis for job in jobs for axis in job.labels))
    present = {network for run in runs if run.result for network in run.test}
    others = sorted(present - set(NETWORKS))
    task = runs[0].task
    above = Path(os.path.commonpath([run.folder.resolve() for run in runs]))
    title = ", ".join(names) or above.name
    return StudyRecord(
        folder=root,
        name="-".join(names) or above.name,
        title=title,
        task=task,
        scale=None,
        is_published_protocol=None,
        layout=TableLayout(
            rows=tuple(axes),
            columns=("network",),
            networks=tuple(name for name in (*NETWORKS, *others) if name in present) or ("S1",),
            metrics=(main_measure(task).key,),
        ),
        published=None,
        jobs=tuple(jobs),
    )


def _loose_job(run: RunRecord) -> JobRecord:
    technique = run.recipe.get("technique") or {}
    is_baseline = technique.get("name") == "baseline"
    kind = ("teacher" if technique.get("network") == "teacher" else "baseline") if is_baseline else "run"
    return JobRecord(
        name=run.name,
        kind=kind,
        labels={} if is_baseline else _technique_labels(technique),
        seed=run.seed,
        status="done" if run.result is not None else "unfinished",
        error=None,
        run=run,
        fold=run.fold,
    )


def _technique_labels(technique: Mapping[str, Any]) -> dict[str, str]:
    """What a technique is called for short."""
    losses = [as_label(loss.get("loss")) for loss in technique.get("losses") or () if isinstance(loss, dict)]
    if isinstance(hint := technique.get("hint"), dict):
        losses.insert(0, f"hint {as_label(hint.get('loss'))}")
    labels = {"technique": str(technique.get("name"))}
    if losses:
        labels["losses"] = " + ".join(losses)
    elif technique.get("strategy"):
        labels["strategy"] = str(technique["strategy"])
    return labels


def _labelled(jobs: Sequence[JobRecord]) -> list[JobRecord]:
    """The jobs, with one more label for each recipe field in which some of one label differ."""
    alike: dict[tuple[Any, ...], list[JobRecord]] = defaultdict(list)
    for job in jobs:
        alike[(job.kind, *job.labels.items())].append(job)
    done: list[JobRecord] = []
    for group in alike.values():
        recipes = [{k: v for k, v in flat(job.run.recipe) if k not in SAME_RESULT} for job in group if job.run]
        keys = list(dict.fromkeys(key for recipe in recipes for key in recipe))
        # Where the split follows the run's seed it differs with it, which makes no other cell.
        differing = [key for key in keys if len({as_text(recipe.get(key)) for recipe in recipes}) > 1]
        named = [
            replace(job, labels={**job.labels, **{key: as_label(recipe.get(key)) for key in differing}})
            for job, recipe in zip(group, recipes, strict=True)
        ]
        repeated = len({(job.seed, job.fold, *job.labels.items()) for job in named}) < len(named)
        done += [replace(job, labels={**job.labels, "run": job.name}) if repeated else job for job in named]
    order = {job.name: place for place, job in enumerate(jobs)}
    return sorted(done, key=lambda job: order[job.name])
