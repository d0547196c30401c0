"""Finding studies and loose runs in folders."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from preceptor.errors import DamagedFileError, UserError
from preceptor.inside import inside
from preceptor.measures.table import main_measure
from preceptor.report.reading.loose import of_loose
from preceptor.report.reading.runs import RunRecord, read_run
from preceptor.report.reading.studies import KINDS, NETWORKS, STATUSES, JobRecord, StudyRecord, TableLayout
from preceptor.runs.analysis import read_analysis
from preceptor.runs.files import RunFiles
from preceptor.runs.names import FOLDERS, RECIPE, TOGETHER
from preceptor.study_index import INDEX, REMEDY, STUDY, read_index


def find_studies(folders: Sequence[Path], note: Callable[[str], None] = lambda line: None) -> list[StudyRecord]:
    """The studies and loose runs in ``folders`` and below. A damaged run stands beside the others as failed.

    Runs in a study's folder that are none of its own are listed beside it: those of an older form of the study, and
    whatever else was put there.

    Args:
        note: says which runs are damaged, and how many are of a version that kept no checksums.

    Raises:
        UserError: no run there, none that is whole, or a damaged index.
    """
    studies: list[StudyRecord] = []
    loose: dict[Path | None, list[RunRecord]] = {}
    damaged: dict[str, UserError] = {}
    taken: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder; give that of a run, of a study, or one that holds them")
        indexes, runs = _below(folder)
        for path in indexes:
            if path.resolve() in taken:
                continue
            taken.add(path.resolve())
            study = _read_index(path, note)
            studies.append(study)
            taken |= {job.run.folder.resolve() for job in study.jobs if job.run}
        for path in runs:
            if path.resolve() not in taken:
                taken.add(path.resolve())
                name = str(path.relative_to(folder)) if path != folder else path.name
                try:
                    run = read_run(path, name)
                except UserError as error:
                    damaged[name] = error
                else:
                    loose.setdefault(_study_around(path, indexes), []).append(run)
    root = folders[0] if len(folders) == 1 else Path()
    if damaged and not (loose or studies):
        raise next(iter(damaged.values()))
    for within, found in loose.items():
        studies += [_beside(one, within) if within else one for one in of_loose(found, root)]
    if damaged:
        said = [_damaged_job(name, _within(folders, error)) for name, error in damaged.items()]
        studies[-1] = replace(studies[-1], jobs=(*studies[-1].jobs, *said))
    _tell_what_to_doubt(studies, note)
    if not studies:
        raise UserError(
            f"no run in {', '.join(map(str, folders))}: a run folder holds {RECIPE}, a study's holds {INDEX}; "
            "train one with `preceptor train RECIPE`"
        )
    return studies


def _within(folders: Sequence[Path], error: UserError) -> str:
    """What is wrong, with the paths of files as they lie below the folders that are reported."""
    words = str(error)
    for folder in folders:
        words = words.replace(f"{folder}/", "")
    return words


def _damaged_job(name: str, error: str) -> JobRecord:
    return JobRecord(
        name=name,
        kind="run",
        labels={"run": name},
        seed=0,
        status="failed",
        error=error,
        run=None,
        is_damaged=True,
    )


def _tell_what_to_doubt(studies: Sequence[StudyRecord], note: Callable[[str], None]) -> None:
    jobs = [job for study in studies for job in study.jobs]
    for job in jobs:
        if job.is_damaged:
            note(f"{job.name} is left out: {job.error}")
    finished = [job.run.finished for job in jobs if job.run and job.run.finished]
    for found in finished:
        for path in found.gone(found.files.metrics, found.files.predictions):
            note(f"{path} is gone: what the report takes from it is left out")
    analyses = [study.analysis for study in studies] + [job.run.analysis for job in jobs if job.run]
    for error in (error for analysis in analyses for error in analysis.damaged):
        note(f"{error.path} is left out: it {error.reason}")
    old = [found for found in finished if not found.is_sealed]
    if old:
        note(
            f"{len(old)} of {len(finished)} finished runs, such as {old[0].folder}, were written before there were "
            "checksums: what is read of them is not verified"
        )


def _study_around(run: Path, indexes: Sequence[Path]) -> Path | None:
    """The folder of the innermost study that a run lies in."""
    around = [index.parent for index in indexes if run.resolve().is_relative_to(index.parent.resolve())]
    return max(around, key=lambda folder: len(folder.resolve().parts), default=None)


def _beside(study: StudyRecord, folder: Path) -> StudyRecord:
    """Loose runs in a study's ``folder``, called so."""
    name = folder.resolve().name
    return replace(study, name=f"{study.name}-loose", title=f"{study.title}: runs in {name} that are not of its study")


def _below(folder: Path) -> tuple[list[Path], list[Path]]:
    """Index files of studies and folders of runs."""
    indexes, runs = [], []
    for where, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if name not in FOLDERS and not name.startswith("."))
        if RECIPE in files and TOGETHER not in files:
            runs.append(Path(where))
        if INDEX in files and STUDY in files:
            indexes.append(Path(where) / INDEX)
    return indexes, runs


def _read_index(path: Path, note: Callable[[str], None]) -> StudyRecord:
    try:
        index, is_sealed = read_index(path.parent)
        if not is_sealed:
            note(f"{path} is of an older version and has no checksum: it is read as it is")
        layout = index["layout"]
        rows, columns, networks, metrics = (
            tuple(map(str, layout.get(part) or ())) for part in ("rows", "columns", "networks", "metrics")
        )
        published = index.get("published")
        return StudyRecord(
            folder=path.parent,
            name=str(index["name"]),
            title=str(index.get("title") or index["name"]),
            task=str(index["task"]),
            scale=index.get("scale"),
            is_published_protocol=index.get("published_protocol"),
            layout=TableLayout(rows, columns, networks or NETWORKS, metrics or (main_measure(str(index["task"])).key,)),
            published=(str(published["file"]), str(published["table"])) if published else None,
            jobs=tuple(_read_job(path.parent, job) for job in index["jobs"]),
            file=path.parent / STUDY,
            analysis=read_analysis(path.parent),
        )
    except OSError as error:
        raise DamagedFileError(path, f"cannot be read: {error.strerror}", REMEDY) from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise DamagedFileError(path, f"is no index of a study: {type(error).__name__} at {error}", REMEDY) from None


def _read_job(folder: Path, job: Mapping[str, Any]) -> JobRecord:
    path = inside(folder, job["folder"], said_by=folder / INDEX)
    run, damage = None, None
    try:
        run = read_run(path, str(job["folder"])) if RunFiles(path).recipe.exists() else None
    except UserError as error:
        damage = _within([folder], error)
    # The folder knows better than an index whose writer was killed.
    status = "failed" if damage else "done" if run and run.result is not None else str(job["status"])
    if status not in STATUSES:
        raise UserError(f"job {job['id']!r} has the status {status!r}; there are {', '.join(STATUSES)}")
    if job["kind"] not in KINDS:
        raise UserError(f"job {job['id']!r} is a {job['kind']!r}; there are {', '.join(KINDS)}")
    return JobRecord(
        name=str(job["id"]),
        kind=str(job["kind"]),
        labels={str(axis): str(label) for axis, label in (job.get("cell") or {}).items()},
        seed=int(job["seed"]) if job.get("seed") is not None else 0,
        status=status,
        error=damage or (_text(job.get("error")) if status != "done" else None),
        run=run,
        fold=run.fold if run else job.get("fold"),
        reused_from=_text(job.get("reused_from")),
        is_damaged=damage is not None,
    )


def _text(found: object) -> str | None:
    return None if found is None else str(found)
