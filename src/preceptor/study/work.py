"""What a worker process does: one job after another, with torch imported once."""

import ctypes
import fcntl
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Literal, TextIO

from preceptor.errors import InterruptedRunError, UserError
from preceptor.recipe import Recipe, parse_recipe
from preceptor.refusals import refusal
from preceptor.runs.begun import replace_recipe
from preceptor.runs.files import RunFiles
from preceptor.study.board import is_same_elsewhere
from preceptor.study.lockstep import name_of
from preceptor.study.plan import Job
from preceptor.yaml_text import read_yaml


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job as it is handed to a worker, on this machine or another.

    Args:
        beside: folder and recipe of every run that is trained with it as one, itself among them.
        shared: folder for what these have in common.
    """

    id: str
    folder: Path
    log: Path
    recipe: str
    device: str
    beside: tuple[tuple[Path, str], ...] = ()
    shared: Path | None = None


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How a job ended; ``stopped`` leaves a checkpoint to go on from."""

    outcome: Literal["done", "failed", "stopped"]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch of a job is done; the job waits to hear whether it goes on."""

    number: int
    score: float


Tell = Callable[[int, float], bool]
"""Says the number and score of an epoch; whether to go on."""

Work = Callable[[JobRequest, Tell], None]


def request_for(job: Job, out: Path, device: str, group: Sequence[Job] = ()) -> JobRequest:
    """What a worker needs to know of ``job``, and of the ``group`` that is trained as one with it."""
    out = out.resolve()  # workers may stand elsewhere
    alone = JobRequest(job.id, job.folder(out), log_of(job.id, out), job.recipe_in(out).to_yaml(), device)
    if len(group) < 2:
        return alone
    beside = tuple((one.folder(out), one.recipe_in(out).to_yaml()) for one in group)
    return replace(alone, beside=beside, shared=out / "together" / name_of(group))


def log_of(id: str, out: Path) -> Path:
    """What a job printed, over all its attempts."""
    return out / "logs" / f"{id}.log"


def train_job(request: JobRequest, tell: Tell) -> None:
    """Train one run of a study, or several as one, or go on with it."""
    from preceptor.screen import Screen

    console = Screen(file=sys.stdout, width=160)
    if request.shared:
        from preceptor.training.together import train_together

        runs = {folder: _recipe_for(folder, text) for folder, text in request.beside}
        train_together(runs, request.shared, device=request.device, console=console)
    else:
        from preceptor.training.run import train_recipe

        recipe = _recipe_for(request.folder, request.recipe)
        train_recipe(recipe, request.folder, device=request.device, console=console)


def _recipe_for(folder: Path, text: str) -> Recipe:
    recipe = parse_recipe(read_yaml(text, "the recipe of a job"))
    written = RunFiles(folder).recipe
    if written.exists() and is_same_elsewhere(written.read_bytes().decode(errors="replace"), recipe):
        replace_recipe(folder, recipe.to_yaml())  # the study's folder has moved, and the teacher with it
    return recipe


def do_job(work: Work, request: JobRequest, tell: Tell) -> JobOutcome:
    """Do a job; whatever it prints goes to its log, whatever it raises is told.

    The log is locked meanwhile: a run never has two writers, even where the worker of a lost machine lives on.
    """
    try:
        request.log.parent.mkdir(parents=True, exist_ok=True)
        with request.log.open("a", encoding="utf-8") as log, _printed_to(log):
            with suppress(OSError):  # a file system without locks
                fcntl.flock(log, fcntl.LOCK_EX)
            return _done(work, request, tell)
    except OSError as error:  # of the log
        return JobOutcome("failed", _words(error))


def _done(work: Work, request: JobRequest, tell: Tell) -> JobOutcome:
    try:
        work(request, tell)
    except InterruptedRunError:
        return JobOutcome("stopped")
    except Exception as error:
        with suppress(OSError):  # the disk that is full for the work is so for its log
            traceback.print_exc()
        return JobOutcome("failed", _words(error))
    return JobOutcome("done")


def _words(error: Exception) -> str:
    words = str(error) if isinstance(error, UserError) else refusal(error)
    return words or f"{type(error).__name__}: {error}"


def do_jobs_of(connection: Connection, work: Work, threads: int, gpu: str | None) -> None:
    """A worker's life: receive jobs and answer them until the connection closes."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; who stops is told by SIGTERM
    signal.signal(signal.SIGTERM, _stop)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu

    def tell(number: int, score: float) -> bool:
        connection.send(Epoch(number, score))
        return bool(connection.recv())

    try:
        while True:
            found = do_job(work, connection.recv(), tell)
            connection.send(found)
            if found.outcome == "stopped":
                return
    except (EOFError, BrokenPipeError, InterruptedRunError):
        return


def _stop(number: int, frame: FrameType | None) -> None:
    """SIGTERM outside the training loop, which has its own way to stop."""
    raise InterruptedRunError("stopped")


def _die_with_parent() -> None:
    """Let the kernel kill this process when its parent dies, so that no run ever has two writers."""
    pr_set_pdeathsig = 1
    parent = os.getppid()
    if ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL):
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it died in between
        os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def _printed_to(log: TextIO) -> Iterator[None]:
    """Send what is printed, by Python or below it, to ``log``."""
    streams = (sys.stdout, sys.stderr)
    before = [os.dup(number) for number in (1, 2)]
    for stream, number in zip(streams, (1, 2), strict=True):
        stream.flush()
        os.dup2(log.fileno(), number)
    try:
        yield
    finally:
        for stream, number, old in zip(streams, (1, 2), before, strict=True):
            with suppress(OSError):  # a full disk
                stream.flush()
            os.dup2(old, number)
            os.close(old)
