"""``preceptor study``."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from preceptor.errors import UserError
from preceptor.files import alone
from preceptor.own_files import settle
from preceptor.recipe import Recipe
from preceptor.screen import Screen
from preceptor.study.board import Board
from preceptor.study.crew import Crew
from preceptor.study.local import LocalCrew, fair_workers
from preceptor.study.plan import Job, plan
from preceptor.study.ray import RayCrew
from preceptor.study.reuse import find_runs, take_over
from preceptor.study.run import run_jobs
from preceptor.study.show import Overview
from preceptor.study.spec import load_study


def run_study(
    path: Path,
    overrides: list[str],
    *,
    scale: str | None,
    out: Path | None,
    workers: int | None,
    ray: str | None,
    device: str,
    dry: bool,
    reuse: Sequence[Path] = (),
    trust: bool = False,
) -> bool:
    """Do what is missing of a study; True when every job is done."""
    study = load_study(path, scale, overrides)
    made = plan(study)
    out = out or _default_folder(path, scale)
    console = Screen()
    if scale:
        console.print(f"{study.name}, scale {scale}: this is not the published protocol", style="bold")
    for note in made.notes:
        console.print(f"note: {note}", highlight=False)
    board = Board(study, made.jobs, out)
    if not dry:
        _settle(made.jobs, path, console, trust=trust)
    if dry:
        _list(board, console, find_runs(board, reuse))
        return True
    out.mkdir(parents=True, exist_ok=True)
    try:
        with alone(out / ".lock", wait=False):
            board.begin()
            _reuse(board, reuse, console)
            threads = made.jobs[0].recipe.training.threads or 1
            _prepare(board, console)
            crew = _crew(workers, ray, threads, device)
            with Overview(console, board) as overview:
                run_jobs(board, overview, crew, device=device)
    except BlockingIOError:
        raise UserError(
            f"{out}: another `preceptor study` is at work in this folder; wait for it, or give another with --out"
        ) from None
    _summarise(board, console)
    return not board.having("failed")


def _settle(jobs: Sequence[Job], path: Path, console: Console, *, trust: bool) -> None:
    """Name the users' own files that the jobs run, each once."""
    said: dict[str, None] = {}
    for job in jobs:
        settle(job.recipe, path, lambda line: said.setdefault(line), trust=trust)
    for line in said:
        console.print(line, highlight=False, soft_wrap=True)


def _default_folder(path: Path, scale: str | None) -> Path:
    """``runs/STUDY-SCALE``, or the study's own folder where its resolved file is given."""
    if (path.parent / "index.json").exists() and path.name == "study.yaml":
        return path.parent
    return Path("runs") / "-".join(filter(None, (path.stem, scale)))


def _crew(workers: int | None, ray: str | None, threads: int, device: str) -> Crew:
    if ray is None:
        return LocalCrew(workers or fair_workers(threads, device), threads, device=device)
    if workers:
        raise UserError(
            "--workers is for this machine; on a Ray cluster as many runs as fit go side by side: leave it out"
        )
    return RayCrew(ray, threads, device=device)


def _prepare(board: Board, console: Console) -> None:
    """Pack the images once, before several workers want them; what is wrong with the data is refused now."""
    from preceptor.data.prepare import prepare

    distinct: dict[str, Job] = {}
    for job in map(board.jobs.__getitem__, board.having("waiting")):
        distinct.setdefault(job.recipe.data.model_dump_json(), job)
    for job in distinct.values():
        with console.status("reading images"):
            prepare(job.recipe)


def _reuse(board: Board, studies: Sequence[Path], console: Console) -> None:
    """Take over what other studies have finished, and say so."""
    found = find_runs(board, studies)
    if not found:
        if studies:
            console.print(f"nothing to reuse in {', '.join(map(str, studies))}", highlight=False, soft_wrap=True)
        return
    from preceptor.data.prepare import prepare

    known: dict[str, str] = {}

    def fingerprint(recipe: Recipe) -> str:
        data = recipe.data.model_dump_json()
        if data not in known:
            with console.status("reading images"):
                known[data] = prepare(recipe).packed.fingerprint
        return known[data]

    take_over(board, found, fingerprint)
    for id, source in found.items():
        console.print(f"{id}: reused from {source}", highlight=False, soft_wrap=True)


def _list(board: Board, console: Console, reusable: Mapping[str, Path]) -> None:
    console.print(
        f"{len(board.jobs)} jobs, {len(board.having('done'))} done; study folder: {board.out}", soft_wrap=True
    )
    width = max(map(len, board.jobs))
    for job in board.jobs.values():
        needs = f"needs {' '.join(job.teachers)}" if job.teachers else ""
        source = board.standing[job.id].reused_from or reusable.get(job.id)
        notes = "; ".join(filter(None, (needs, f"reused from {source}" if source else "")))
        line = f"{job.id:{width}}  {job.kind:8}  {board.standing[job.id].status:7}  {notes}".rstrip()
        console.print(line, highlight=False, soft_wrap=True)


def _summarise(board: Board, console: Console) -> None:
    for id in board.having("failed"):
        console.print(f"FAILED {id}: {board.standing[id].error}", highlight=False, soft_wrap=True)
    stale = sorted(set(os.listdir(board.out / "runs")) - set(board.jobs)) if (board.out / "runs").is_dir() else []
    if stale:
        console.print(
            f"note: {len(stale)} folders in {board.out / 'runs'} are no runs of this study, such as {stale[0]}"
        )
    console.print(
        f"{len(board.having('done'))} of {len(board.jobs)} jobs done; study folder: {board.out}", soft_wrap=True
    )
