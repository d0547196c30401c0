"""A study on this machine: worker processes that take one job after another."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType

from preceptor.errors import InterruptedRunError
from preceptor.study.board import Board
from preceptor.study.show import Overview
from preceptor.study.work import Answer, Work, log_of, request_for, serve, train_job

RETRIES = 2
"""How often a job is taken up again whose worker died."""


def run_local(
    board: Board, overview: Overview, *, workers: int, threads: int, device: str = "auto", work: Work = train_job
) -> None:
    """Do every job that is not done, ``workers`` at a time, until nothing can be done any more.

    A job whose worker dies is taken up again, and goes on from its run folder; one that raises is failed.

    Raises:
        InterruptedRunError: SIGINT or SIGTERM came; running jobs have left checkpoints.
    """
    gpus = [] if device == "cpu" else visible_gpus()
    crew = [_Worker(threads, gpus[number % len(gpus)] if gpus else None, work) for number in range(workers)]
    with _stop_requests() as stop:
        try:
            while not stop.requested and (board.ready() or any(worker.job for worker in crew)):
                for worker, job in zip([one for one in crew if not one.job], board.ready(), strict=False):
                    worker.give(job.id, board, device)
                _listen(crew, board, overview, stop)
            if stop.requested:
                _end(crew, board, stop)
        finally:
            for worker in crew:
                worker.close()
    if board.having("waiting"):
        counts = f"{len(board.having('done'))} of {len(board.jobs)} jobs are done"
        raise InterruptedRunError(f"stopped; {counts}. The same command again does the others.")


class _Worker:
    """A place for one process; a new one is started when the last has died."""

    def __init__(self, threads: int, gpu: str | None, work: Work) -> None:
        self.job: str | None = None
        self._settings = (work, threads, gpu)
        self._process: SpawnProcess | None = None
        self.connection: Connection | None = None

    def give(self, id: str, board: Board, device: str) -> None:
        """Hand a job to the process."""
        if self._process is None or not self._process.is_alive():
            self.close()
            context = get_context("spawn")
            self.connection, theirs = context.Pipe()
            self._process = context.Process(target=serve, args=(theirs, *self._settings), daemon=True)
            self._process.start()
            theirs.close()  # so that the end of the process closes the pipe
        assert self.connection is not None
        self.job = id
        board.started(id)
        with suppress(BrokenPipeError):  # it has died; listening will tell
            self.connection.send(request_for(board.jobs[id], board.out, device))

    def receive(self) -> Answer | int:
        """How the job ended, or the exit code of a process that died over it."""
        assert self.connection is not None
        assert self._process is not None
        try:
            answer: Answer = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            return self._process.exitcode or 0
        if answer.outcome == "stopped":
            self._process.join()
        return answer

    def signal(self, number: int) -> None:
        """Send a signal to the process, if it lives."""
        if self._process is not None and self._process.is_alive() and self._process.pid:
            os.kill(self._process.pid, number)

    def close(self) -> None:
        """Let an idle process end, and kill one that is not."""
        if self._process is None:
            return
        if self.job and self._process.is_alive():
            self._process.kill()
        if self.connection:
            self.connection.close()
        self._process.join()


def _listen(crew: list[_Worker], board: Board, overview: Overview, stop: "_Stop") -> None:
    """Wait for a moment, and note every job that has ended."""
    overview.show()
    busy = {worker.connection: worker for worker in crew if worker.job}
    for connection in wait([one for one in busy if one], timeout=overview.pause):
        worker = busy[connection]  # type: ignore[index]  # only our own connections were waited for
        id, answer = worker.job, worker.receive()
        assert id is not None
        worker.job = None
        _settle(id, answer, board)
        if not stop.requested:
            overview.ended(id)


def _settle(id: str, answer: Answer | int, board: Board) -> None:
    """Note how a job ended."""
    if isinstance(answer, Answer) and answer.outcome == "done":
        board.done(id)
    elif isinstance(answer, Answer) and answer.outcome == "failed":
        board.failed(id, answer.error or "")
    elif board.standing[id].attempts <= RETRIES:
        board.waits([id])
    else:
        board.failed(id, f"its worker {_death(answer)} {RETRIES + 1} times; see {log_of(id, board.out)}")


def _death(answer: Answer | int) -> str:
    if isinstance(answer, Answer):
        return "was stopped from outside"
    if answer == -signal.SIGKILL:
        return "was killed (signal 9, as when memory runs out)"
    return f"died (signal {-answer})" if answer < 0 else f"ended (exit code {answer})"


def _end(crew: list[_Worker], board: Board, stop: "_Stop") -> None:
    """Let running jobs write their checkpoints; a second request does not wait for them."""
    for worker in crew:
        worker.signal(signal.SIGTERM)
    while (busy := {one.connection: one for one in crew if one.job and one.connection}) and stop.requested < 2:
        for connection in wait(list(busy), timeout=0.2):
            worker = busy[connection]  # type: ignore[index]
            id, answer = worker.job, worker.receive()
            worker.job = None
            if id and isinstance(answer, Answer) and answer.outcome != "stopped":
                _settle(id, answer, board)
    board.waits(board.having("running"))


@dataclass
class _Stop:
    requested: int = 0


@contextmanager
def _stop_requests() -> Iterator[_Stop]:
    """Count SIGTERM and SIGINT instead of dying of them."""
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number: int, frame: FrameType | None) -> None:
        stop.requested += 1

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def visible_gpus() -> list[str]:
    """The GPUs that a process started here would see, by the names that CUDA_VISIBLE_DEVICES takes."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return [str(number) for number, line in enumerate(found.stdout.splitlines()) if line.startswith("GPU ")]


def fair_workers(threads: int, device: str) -> int:
    """As many runs side by side as there are cores for, and no more than GPUs where there are any."""
    fitting = max(1, len(os.sched_getaffinity(0)) // threads)
    gpus = [] if device == "cpu" else visible_gpus()
    return min(fitting, len(gpus)) if gpus else fitting
