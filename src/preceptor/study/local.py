"""A crew on this machine: worker processes that take one job after another, with a fair share of cores and GPUs."""

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from preceptor.study.crew import Death, Event
from preceptor.study.work import JobRequest, Work, do_jobs_of, train_job


class LocalCrew:
    """``workers`` processes, each with ``threads`` compute threads and one of the visible GPUs."""

    def __init__(self, workers: int, threads: int, *, device: str = "auto", work: Work = train_job) -> None:
        gpus = [] if device == "cpu" else visible_gpus()
        self._workers = [_Worker(threads, gpus[i % len(gpus)] if gpus else None, work) for i in range(workers)]

    @property
    def free(self) -> int:
        """How many have nothing to do."""
        return sum(worker.job is None for worker in self._workers)

    @property
    def busy(self) -> bool:
        """Whether anyone is at work."""
        return any(worker.job for worker in self._workers)

    def give(self, request: JobRequest) -> None:
        """Hand a job to someone free."""
        next(worker for worker in self._workers if worker.job is None).give(request)

    def events(self, seconds: float) -> list[tuple[str, Event]]:
        """What has happened to which job; waits for the first for some time."""
        at_work = [worker for worker in self._workers if worker.job]
        heard = wait([worker.connection for worker in at_work if worker.connection], timeout=seconds)
        return [worker.receive() for worker in at_work if worker.connection in heard]

    def reply(self, id: str, goes_on: bool) -> None:
        """Answer a job's :class:`Epoch`."""
        for worker in self._workers:
            if worker.job == id:
                worker.send(goes_on)

    def stop(self) -> None:
        """Ask every job to leave a checkpoint and end."""
        for worker in self._workers:
            worker.stop()

    def close(self) -> None:
        """Let idle workers go, and kill those that are not."""
        for worker in self._workers:
            worker.close()


class _Worker:
    """A place for one process; a new one is started when the last has died."""

    def __init__(self, threads: int, gpu: str | None, work: Work) -> None:
        self.job: str | None = None
        self.connection: Connection | None = None
        self._settings = (work, threads, gpu)
        self._process: SpawnProcess | None = None

    def give(self, request: JobRequest) -> None:
        if self._process is None or not self._process.is_alive():
            self.close()
            context = get_context("spawn")
            self.connection, theirs = context.Pipe()
            self._process = context.Process(target=do_jobs_of, args=(theirs, *self._settings), daemon=True)
            self._process.start()
            theirs.close()  # so that the end of the process closes the pipe
        self.job = request.id
        self.send(request)

    def send(self, message: object) -> None:
        assert self.connection is not None
        with suppress(BrokenPipeError):  # the process has died; receiving will tell
            self.connection.send(message)

    def receive(self) -> tuple[str, Event]:
        assert self.job is not None
        assert self.connection is not None
        assert self._process is not None
        id, event = self.job, None
        with suppress(EOFError, ConnectionResetError):
            event = self.connection.recv()
        if event is None or getattr(event, "outcome", None) == "stopped":
            self._process.join()
        if event is None or hasattr(event, "outcome"):
            self.job = None
        return id, event or Death(_words(self._process.exitcode or 0))

    def stop(self) -> None:
        if self.job and self._process is not None and self._process.is_alive():
            self._process.terminate()

    def close(self) -> None:
        if self._process is None:
            return
        if self.job and self._process.is_alive():
            self._process.kill()
        if self.connection:
            self.connection.close()
        self._process.join()


def _words(exit_code: int) -> str:
    if exit_code == -signal.SIGKILL:
        return "was killed (signal 9, as when memory runs out)"
    return f"died (signal {-exit_code})" if exit_code < 0 else f"ended (exit code {exit_code})"


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
