"""Finding studies and loose runs in folders."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from preceptor.errors import UserError
from preceptor.inside import inside
from preceptor.report.loose import of_loose
from preceptor.report.runs import Run, analysis_in, read_run
from preceptor.report.studies import KINDS, MAIN_METRICS, NETWORKS, STATUSES, Job, Layout, Study

_INSIDE_A_RUN = {"checkpoints", "networks", "predictions", "analysis", "tensorboard"}


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
    studies += of_loose(loose, root)
    if not studies:
        raise UserError(
            f"no run in {', '.join(map(str, folders))}: a run folder holds recipe.yaml, a study's holds index.json; "
            "train one with `preceptor train RECIPE`"
        )
    return studies


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
    path = inside(folder, job["folder"], said_by=folder / "index.json")
    run = read_run(path, str(job["folder"])) if (path / "recipe.yaml").exists() else None
    # The folder knows better than an index whose writer was killed.
    status = "done" if run and run.result is not None else str(job["status"])
    if status not in STATUSES:
        raise UserError(f"job {job['id']!r} has the status {status!r}; there are {', '.join(STATUSES)}")
    if job["kind"] not in KINDS:
        raise UserError(f"job {job['id']!r} is a {job['kind']!r}; there are {', '.join(KINDS)}")
    return Job(
        name=str(job["id"]),
        kind=str(job["kind"]),
        labels={str(axis): str(label) for axis, label in (job.get("cell") or {}).items()},
        seed=int(job["seed"]) if job.get("seed") is not None else 0,
        status=status,
        error=_text(job.get("error")) if status != "done" else None,
        run=run,
        fold=run.fold if run else job.get("fold"),
        reused_from=_text(job.get("reused_from")),
    )


def _text(found: object) -> str | None:
    return None if found is None else str(found)
