"""A crew on a Ray cluster: every job is a task that asks for the cores and the GPU that it needs.

The study's folder must be the same on all machines, such as a network drive, and preceptor installed on each.
"""

import os
import socket
from importlib.util import find_spec
from typing import Any

from preceptor.errors import UserError
from preceptor.extras import install_command
from preceptor.study.crew import Death, Event
from preceptor.study.work import JobOutcome, JobRequest, Work, do_job, train_job

PASSED_ON = ("PRECEPTOR_DATA", "PRECEPTOR_CACHE", "CUBLAS_WORKSPACE_CONFIG")
"""Variables that tasks see as the command does."""

_PATIENCE = 10.0
"""Seconds to wait for a machine to answer at all."""


def require_ray(address: str) -> None:
    """Refuse an address that is none, and a machine without Ray; nobody is called.

    Raises:
        UserError: which forms there are, or what to install.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address not in ("auto", "local") and not (host and port.isdigit()):
        raise UserError(
            f"--ray {address}: is no address; give auto on a machine of the cluster, HOST:PORT of its head, or "
            "ray://HOST:PORT of its client server"
        )
    if find_spec("ray") is None:
        raise UserError(f"--ray wants Ray, which is not installed: {install_command('ray')}")


class RayCrew:
    """Tasks on the cluster at ``address``, as many at once as it has cores and GPUs for.

    Raises:
        UserError: as :func:`require_ray`, or no cluster answers.
    """

    def __init__(self, address: str, threads: int, *, device: str = "auto", work: Work = train_job) -> None:
        require_ray(address)
        import ray

        self._ray = ray
        passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment = {"env_vars": {**passed, "OMP_NUM_THREADS": str(threads)}}
        try:
            _knock(address)
            ray.init(address=address, runtime_env=environment, log_to_driver=False, ignore_reinit_error=False)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise UserError(
                f"--ray {address}: no cluster answers ({str(error).splitlines()[0]}).\n"
                "Start one by `ray start --head` on one machine and `ray start --address HOST:6379` on the others, "
                "and give --ray auto on one of them."
            ) from None
        gpus = 0 if device == "cpu" else min(1, int(ray.cluster_resources().get("GPU", 0)))
        self._needs = {"CPU": threads, **({"GPU": gpus} if gpus else {})}
        # A dead task is taken up again by whoever gave it, who counts how often.
        self._task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=0)(_do)
        self._work = work
        self._tasks: dict[Any, str] = {}

    @property
    def free(self) -> int:
        """How many more tasks the cluster has room for; it may grow and shrink."""
        have = self._ray.cluster_resources()
        room = min(int(have.get(name, 0) // count) for name, count in self._needs.items())
        return max(0, room - len(self._tasks))  # a lost machine leaves more tasks than there is room for

    @property
    def busy(self) -> bool:
        """Whether any task is not done."""
        return bool(self._tasks)

    def give(self, request: JobRequest) -> None:
        """Hand a job to the cluster."""
        self._tasks[self._task.remote(self._work, request)] = request.id

    def events(self, seconds: float) -> list[tuple[str, Event]]:
        """What has happened to which job; waits for the first for some time."""
        if not self._tasks:
            return []
        ended, _ = self._ray.wait(list(self._tasks), num_returns=1, timeout=seconds)
        return [(self._tasks.pop(task), self._event(task)) for task in ended]

    def reply(self, id: str, goes_on: bool) -> None:
        """Tasks ask nothing."""

    def stop(self) -> None:
        """Interrupt every task, as Ctrl-C does."""
        for task in self._tasks:
            self._ray.cancel(task, recursive=False)

    def close(self) -> None:
        """End every task at once, and leave the cluster."""
        for task in self._tasks:
            self._ray.cancel(task, force=True)
        self._tasks.clear()
        self._ray.shutdown()

    def _event(self, task: Any) -> Event:
        errors = self._ray.exceptions
        try:
            found: JobOutcome = self._ray.get(task)
        except errors.TaskCancelledError:
            return JobOutcome("stopped")
        except errors.RayTaskError as error:
            return JobOutcome("failed", str(error).strip().splitlines()[-1])
        except errors.RayError as error:
            return Death(f"died ({type(error).__name__})")
        return found


def _knock(address: str) -> None:
    """OSError where nobody listens at HOST:PORT: Ray itself tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()


def _do(work: Work, request: JobRequest) -> JobOutcome:
    """Do a job in a task; a study's jobs report no epochs, so that none is ever asked to end."""
    return do_job(work, request, lambda number, score: True)
