"""Where every job of a study stands, on disk as ``index.json`` after every change."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from preceptor.errors import UserError
from preceptor.files import write_text
from preceptor.recipe import Recipe, parse_recipe
from preceptor.runs.files import run_of_snapshot
from preceptor.runs.finished import read_finished
from preceptor.runs.reused import reused_from
from preceptor.sealed import write_sealed
from preceptor.study.lockstep import lockstep
from preceptor.study.plan import Job, digest_of
from preceptor.study.spec import PublishedTable, Study
from preceptor.study_index import INDEX, STUDY
from preceptor.yaml_text import read_yaml

Status = Literal["waiting", "running", "done", "failed"]


@dataclass
class Standing:
    """Where one job stands; ``attempts`` counts its starts by this command.

    ``reused_from`` is the folder that its run was copied from.
    """

    status: Status = "waiting"
    error: str | None = None
    attempts: int = 0
    reused_from: str | None = None


class Board:
    """The jobs of a study in its folder ``out``. Finished runs are found by what lies there."""

    def __init__(self, study: Study, jobs: Sequence[Job], out: Path) -> None:
        self.study = study
        self.out = out
        self.jobs = {job.id: job for job in jobs}
        self.standing = {job.id: _found(job, out) for job in jobs}
        self._study_sha256 = ""  # of study.yaml, once it is written
        self.groups = lockstep(jobs) if study.together else {job.id: (job,) for job in jobs}

    def begin(self) -> None:
        """Write the resolved study, the published table and the index."""
        self.out.mkdir(parents=True, exist_ok=True)
        study = self.study
        if study.published:
            write_text(self.out / "published.csv", Path(study.published.file).read_text(encoding="utf-8"))
            study = study.model_copy(
                update={"published": PublishedTable(file="published.csv", table=study.published.table)}
            )
        text = study.to_yaml()
        write_text(self.out / STUDY, text)
        self._study_sha256 = hashlib.sha256(text.encode()).hexdigest()
        self._write()

    def having(self, *statuses: Status) -> list[str]:
        """Ids of the jobs that stand so, in the order of the plan."""
        return [id for id, standing in self.standing.items() if standing.status in statuses]

    def ready(self) -> list[Job]:
        """Jobs that may begin now, in the order of the plan; of those that are trained as one, the first."""
        over = set(self.having("done", "failed"))
        ready = [
            job for job in map(self.jobs.__getitem__, self.having("waiting")) if {*job.teachers, *job.after} <= over
        ]
        first = {self.groups[job.id][0].id: job for job in reversed(ready)}
        return [job for job in ready if first[self.groups[job.id][0].id] is job]

    def together(self, id: str) -> list[str]:
        """The jobs that are trained as one with ``id`` and stand as it does, itself among them."""
        status = self.standing[id].status
        return [job.id for job in self.groups[id] if self.standing[job.id].status == status]

    def part(self, id: str) -> None:
        """Train the jobs of a group one by one: they could not be trained as one."""
        for job in self.groups[id]:
            self.groups[job.id] = (job,)

    def started(self, ids: Iterable[str]) -> None:
        """A worker has taken the jobs."""
        for id in ids:
            self.standing[id].status = "running"
            self.standing[id].attempts += 1
        self._write()

    def waits(self, ids: Iterable[str]) -> None:
        """The jobs are to be taken up again."""
        for id in ids:
            self.standing[id].status = "waiting"
        self._write()

    def done(self, ids: Iterable[str]) -> None:
        """The jobs have left their results."""
        for id in ids:
            self.standing[id].status = "done"
        self._write()

    def reused(self, id: str, source: Path) -> None:
        """The job's run has been copied from ``source``."""
        self.standing[id] = Standing("done", reused_from=str(source.resolve()))
        self._write()

    def failed(self, id: str, error: str) -> None:
        """The job cannot be done, nor any that wants its network as a teacher."""
        self._fail(id, error)
        for other in self.jobs.values():
            if id in other.teachers and self.standing[other.id].status == "waiting":
                self._fail(other.id, f"not begun: its teacher {id} failed")
        self._write()

    def _fail(self, id: str, error: str) -> None:
        self.standing[id].status, self.standing[id].error = "failed", error

    def _write(self) -> None:
        study = self.study
        write_sealed(
            self.out / INDEX,
            {
                "name": study.name,
                "title": study.title,
                "scale": study.scale,
                "study_sha256": self._study_sha256,
                "task": next(iter(self.jobs.values())).recipe.scored_in,
                "published_protocol": study.is_published_protocol,
                "layout": layout_of(study, list(self.jobs.values())),
                "published": {"file": "published.csv", "table": study.published.table} if study.published else None,
                "jobs": [self._row(job) for job in self.jobs.values()],
            },
        )

    def _row(self, job: Job) -> dict[str, Any]:
        standing = self.standing[job.id]
        return {
            "id": job.id,
            "folder": f"runs/{job.id}",
            "kind": job.kind,
            "cell": dict(job.cell),
            "seed": job.seed,
            "fold": job.fold,
            "status": standing.status,
            "error": standing.error,
            "attempts": standing.attempts,
            "reused_from": standing.reused_from,
        }


def layout_of(study: Study, jobs: Sequence[Job]) -> dict[str, list[str]]:
    """The study's layout. What it leaves open: the first axis down, the others across, all networks, the main score."""
    layout = study.layout
    rows = layout.rows or tuple(axis for axis in study.axes if axis not in layout.columns)[:1]
    columns = layout.columns or tuple(axis for axis in study.axes if axis not in rows)
    students = max((tuple(job.recipe.networks.peers) for job in jobs if job.kind != "teacher"), key=len)
    networks = layout.networks or (*students, *(["ensemble"] if len(students) > 1 else []))
    metrics = layout.metrics or [one.key for one in jobs[0].recipe.measures_known.values() if one.is_tabled]
    return {"rows": list(rows), "columns": list(columns), "networks": list(networks), "metrics": list(metrics)}


def _found(job: Job, out: Path) -> Standing:
    """As a job stands when a command begins."""
    if not is_finished(job, out):
        return Standing()
    return Standing("done", reused_from=reused_from(job.folder(out)))


def is_finished(job: Job, out: Path) -> bool:
    """Whether the job's folder holds the result of exactly its recipe, wherever its teacher lay then."""
    found = read_finished(job.folder(out))
    if found is None or not found.files.recipe.exists():
        return False
    recipe = job.recipe_in(out)
    text = found.content(found.files.recipe).decode(errors="replace")
    return text == recipe.to_yaml() or is_same_elsewhere(text, recipe)


def is_same_elsewhere(text: str, recipe: Recipe) -> bool:
    """Whether ``text`` is ``recipe`` but for where the study lies and what its teachers' cells are called."""
    try:
        written = parse_recipe(read_yaml(text, "the recipe of a run"))
    except UserError:
        return False
    return _without_place(written) == _without_place(recipe)


def _without_place(recipe: Recipe) -> Mapping[str, Any]:
    raw = recipe.model_dump(mode="json", exclude={"name"})
    technique = raw["technique"]
    if teacher := technique.get("teacher"):
        technique["teacher"] = _content(Path(teacher))
    if teachers := technique.get("teachers"):
        technique["teachers"] = [_content(Path(teacher)) for teacher in teachers]
    if snapshots := technique.get("snapshots"):
        kept = [run_of_snapshot(Path(one)) for one in snapshots]
        technique["snapshots"] = [(_content(run), *inside) for run, inside in kept]
    return raw


def _content(run: Path) -> str:
    """The digest of a study's run, whatever its cell is called; else the folder's name."""
    return digest_of(run.name) or run.name
