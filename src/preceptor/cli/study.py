"""``preceptor study``."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from rich.console import Console

from preceptor.cli.places import STUDIES, other_data, require_own_place
from preceptor.errors import DamagedFileError, UserError
from preceptor.files import file_lock
from preceptor.own_files import settle
from preceptor.recipe import Recipe
from preceptor.runs.place import require_place
from preceptor.screen import Screen
from preceptor.study.board import Board
from preceptor.study.checks import check_device, check_recipes
from preceptor.study.crew import Crew
from preceptor.study.grid import recipes_of
from preceptor.study.local import LocalCrew, fair_workers
from preceptor.study.plan import plan_study
from preceptor.study.ray import RayCrew, require_ray
from preceptor.study.reuse import Fingerprint, find_runs, require_same_images, take_over
from preceptor.study.run import run_jobs
from preceptor.study.show import Overview
from preceptor.study.spec import Study, load_study
from preceptor.study_index import INDEX, STUDY, read_index, require_as_written


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
    seeds: Sequence[int] = (),
    reuse: Sequence[Path] = (),
    trust: bool = False,
) -> bool:
    """Do what is missing of a study; True when every job is done."""
    study, data = _named(path, scale, overrides)
    study = _of_seeds(study, seeds)
    console = Screen()
    settle_study(study, path, console, trust=trust)
    made = plan_study(study)
    out = out or _default_folder(path, data, scale)
    if scale:
        console.print(f"{study.name}, scale {scale}: this is not the published protocol", style="bold")
    for note in made.notes:
        console.print(f"note: {note}", highlight=False)
    require_own_place(out, "a study", name=study.name, there=_name_in(out, console))
    board = Board(study, made.jobs, out)
    if dry:
        _list(board, console, find_runs(board, reuse))
        return True
    images = [job.recipe.data.path for job in made.jobs]
    require_place(out, images, is_own=(out / STUDY).exists() or (out / INDEX).exists(), what="study")
    with ExitStack() as held:
        if out.is_dir():
            held.enter_context(_alone(out))
        found, fingerprint = find_runs(board, reuse), _fingerprints(console)
        require_same_images(board, found, fingerprint)
        crew = held.enter_context(closing(_checked(board, found, workers, ray, device, console)))
        if not out.is_dir():
            out.mkdir(parents=True)
            held.enter_context(_alone(out))
        if not seeds:
            _tell_strangers(board, found, console)
        board.begin()
        take_over(board, found, fingerprint)
        _tell_reused(found, reuse, console)
        with Overview(console, board) as overview:
            run_jobs(board, overview, crew, device=device)
    _summarise(board, console)
    return not board.having("failed")


def settle_study(study: Study, path: Path, console: Console, *, trust: bool) -> None:
    """Name the users' own files that the runs of a study run, each once, before any is."""
    said: dict[str, None] = {}
    for _, recipe in recipes_of(study)[0]:
        settle(recipe, path, lambda line: said.setdefault(line), trust=trust)
    for line in said:
        console.print(line, highlight=False, soft_wrap=True)


def _named(path: Path, scale: str | None, overrides: list[str]) -> tuple[Study, str | None]:
    """The study, and where it is about other data than its file, what these are called: its name then ends in it."""
    if _is_resolved(path):
        require_as_written(path.parent)
    study = load_study(path, scale, overrides)
    own = load_study(path, scale).base if overrides else study.base
    data = other_data(own.get("data"), study.base.get("data"))
    if data is None:
        return study, None
    renamed = {} if study.base.get("name") != own.get("name") else {"name": data}
    title = f"{study.title or study.name}: {data}"
    return study.model_copy(
        update={"name": f"{study.name}-{data}", "title": title, "set": {**study.set, **renamed}}
    ), data


def _of_seeds(study: Study, seeds: Sequence[int]) -> Study:
    """The part of a study that has these of its seeds: no run of one seed needs another's."""
    strange = [seed for seed in seeds if seed not in study.seeds]
    if strange:
        raise UserError(f"--seed {strange[0]}: {study.name} has the seeds {', '.join(map(str, study.seeds))}")
    return study.model_copy(update={"seeds": tuple(dict.fromkeys(seeds))}) if seeds else study


def _default_folder(path: Path, data: str | None, scale: str | None) -> Path:
    """``runs/studies/STUDY-…``, or the study's own folder where its resolved file is given."""
    if _is_resolved(path):
        return path.parent
    return STUDIES / "-".join(filter(None, (path.stem, data, scale)))


def _is_resolved(path: Path) -> bool:
    """Whether it is what a study's command has written into its folder."""
    return path.name == STUDY and (path.parent / INDEX).exists()


def _name_in(out: Path, console: Console) -> str | None:
    """The name of the study that lies in ``out``; a damaged index is written anew, and said to be."""
    if not (out / INDEX).is_file():
        return None
    try:
        return str(read_index(out)[0].get("name"))
    except DamagedFileError:
        console.print(
            f"note: {out / INDEX} is damaged and is written anew from the runs", highlight=False, soft_wrap=True
        )
        return None


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    try:
        with file_lock(out / ".lock", wait=False):
            yield
    except BlockingIOError:
        raise UserError(
            f"{out}: another `preceptor study` is at work in this folder; wait for it, or give another with --out"
        ) from None


def _checked(
    board: Board, found: Mapping[str, Path], workers: int | None, ray: str | None, device: str, console: Console
) -> Crew:
    """Those who will do the jobs, once all that can be known to be wrong is known not to be; nothing is written.

    Images are packed meanwhile, once, before several workers want them.

    Args:
        found: finished runs of other studies, by the job that they do.
    """
    if ray is not None:
        if workers:
            raise UserError(
                "--workers is for this machine; on a Ray cluster as many runs as fit go side by side: leave it out"
            )
        require_ray(ray)
    else:
        check_device(device)
    waiting = [board.jobs[id] for id in board.having("waiting") if id not in found]
    check_recipes(((job.recipe, not job.teachers) for job in waiting), console)
    threads = next(iter(board.jobs.values())).recipe.training.threads or 1
    if ray is not None:
        return RayCrew(ray, threads, device=device)
    return LocalCrew(workers or fair_workers(threads, device), threads, device=device)


def _fingerprints(console: Console) -> Fingerprint:
    """Fingerprints of the images that recipes name; each data set is read once."""
    known: dict[str, str] = {}

    def fingerprint(recipe: Recipe) -> str:
        from preceptor.data.prepare import prepare

        data = recipe.data.model_dump_json()
        if data not in known:
            with console.status("reading images"):
                known[data] = prepare(recipe).packed.fingerprint
        return known[data]

    return fingerprint


def _strangers(board: Board) -> list[str]:
    """Folders of runs that lie in the study's folder and are none of it."""
    runs = board.out / "runs"
    return sorted(set(os.listdir(runs)) - set(board.jobs)) if runs.is_dir() else []


def _tell_strangers(board: Board, found: Mapping[str, Path], console: Console) -> None:
    """Say that runs of other settings lie here before these are made beside them."""
    others, missing = _strangers(board), [id for id in board.having("waiting") if id not in found]
    if others and missing:
        console.print(
            f"note: {board.out} holds {len(others)} runs of other settings, such as {others[0]}: they stay and are not "
            f"used; {len(missing)} of {len(board.jobs)} runs are to be made. Another folder is given by --out.",
            highlight=False,
            soft_wrap=True,
        )


def _tell_reused(found: Mapping[str, Path], studies: Sequence[Path], console: Console) -> None:
    """Say what was taken over from other studies."""
    if studies and not found:
        console.print(f"nothing to reuse in {', '.join(map(str, studies))}", highlight=False, soft_wrap=True)
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
    if stale := _strangers(board):
        console.print(
            f"note: {len(stale)} folders in {board.out / 'runs'} are no runs of this study, such as {stale[0]}"
        )
    console.print(
        f"{len(board.having('done'))} of {len(board.jobs)} jobs done; study folder: {board.out}", soft_wrap=True
    )
