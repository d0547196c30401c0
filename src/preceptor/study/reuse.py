"""Finished runs of other studies, taken over instead of trained again."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from preceptor.errors import UserError
from preceptor.files import sync_folder
from preceptor.recipe import Recipe
from preceptor.runs.begun import known_fingerprint, replace_recipe
from preceptor.runs.finished import read_finished
from preceptor.runs.reused import write_source
from preceptor.study.board import Board, is_same_elsewhere
from preceptor.study.plan import Job, digest_of

Fingerprint = Callable[[Recipe], str]
"""Of the images that a recipe names, as they are today."""


def find_runs(board: Board, studies: Sequence[Path]) -> dict[str, Path]:
    """For each job that has not begun: the folder of a finished run of the same digest and recipe, if there is one.

    What a run is called does not count, nor where its study lies. The first study that has it wins.

    Raises:
        UserError: one of ``studies`` is no study's folder, or a run in it is damaged.
    """
    found: dict[str, Path] = {}
    for study in studies:
        if not (study / "runs").is_dir():
            raise UserError(f"--reuse {study}: there is no {study / 'runs'}; give the folder of a study that was run")
        there = {digest: folder for folder in sorted((study / "runs").iterdir()) if (digest := digest_of(folder.name))}
        for job in map(board.jobs.__getitem__, board.having("waiting")):
            folder = there.get(digest_of(job.id) or "")
            if folder and not job.folder(board.out).exists() and _is_finished(folder, job, board.out):
                found.setdefault(job.id, folder)
    return found


def take_over(board: Board, found: Mapping[str, Path], fingerprint: Fingerprint) -> None:
    """Copy runs into the study's folder, each whole or not at all.

    Raises:
        UserError: as :func:`require_same_images`, before anything is copied.
    """
    require_same_images(board, found, fingerprint)
    for id, source in found.items():
        _copy(board.jobs[id], source, board.out)
        board.reused(id, source)


def require_same_images(board: Board, found: Mapping[str, Path], fingerprint: Fingerprint) -> None:
    """Refuse runs that were trained on other images than are there now.

    Raises:
        UserError: naming the first.
    """
    for id, source in found.items():
        job = board.jobs[id]
        trained_on = known_fingerprint(source)
        if trained_on != fingerprint(job.recipe):
            raise UserError(
                f"{source} cannot be reused: it was trained on other images than {job.recipe.data.source} "
                f"{job.recipe.data.path or ''} has now. Leave out --reuse {source.parents[1]}, or bring the data back."
            )


def _is_finished(folder: Path, job: Job, out: Path) -> bool:
    found = read_finished(folder)
    if found is None or not found.result.is_complete or known_fingerprint(folder) is None:
        return False
    found.verify(*found.files.listed)
    return is_same_elsewhere(found.content(found.files.recipe).decode(errors="replace"), job.recipe_in(out))


def _copy(job: Job, source: Path, out: Path) -> None:
    folder = job.folder(out)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{job.id}.part")
    shutil.rmtree(part, ignore_errors=True)  # a killed command's
    try:
        shutil.copytree(source, part, copy_function=_copy_synced, ignore=shutil.ignore_patterns(".*"))
        replace_recipe(part, job.recipe_in(out).to_yaml())  # its teacher lies here now
        write_source(part, source)
        part.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _copy_synced(source: str, target: str) -> str:
    shutil.copy2(source, target)
    with open(target, "rb") as file:
        os.fsync(file.fileno())
    return target
