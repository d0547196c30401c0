"""Who does the numbered parts of a long piece of work: this process, several, or a cluster."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from preceptor.errors import InterruptedRunError, UserError
from preceptor.files import file_lock
from preceptor.runs.place import is_alive
from preceptor.stopping import stop_requests
from preceptor.study.crew import Crew, Death
from preceptor.study.work import JobOutcome, JobRequest, Work

_ATTEMPTS = 3
_LEFTOVER = re.compile(r"\..+\.(?P<process>\d+)\.part")

Watch = Callable[[int, int], object]
"""Told how many parts are done, of how many."""


@dataclass(frozen=True, slots=True)
class Hands:
    """Who does the work.

    Args:
        workers: processes; 1 works in this one.
        ray: address of a cluster, or None.
    """

    workers: int = 1
    ray: str | None = None


ALONE = Hands()
"""This process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Work in numbered parts, each written whole or not at all.

    Args:
        folder: what is worked on, as other processes are told it.
        logs: where these write what they print.
        here: does a part in this process.
        elsewhere: does a part in another one; a function of a module, which they import.
    """

    folder: Path
    logs: Path
    device: str
    here: Callable[[int], object]
    elsewhere: Work


def do_parts(missing: Sequence[int], count: int, parts: Parts, hands: Hands, watch: Watch) -> None:
    """Do the parts that are ``missing`` of ``count``.

    Raises:
        UserError: a part failed, or its worker died several times.
        InterruptedRunError: SIGTERM or SIGINT came.
    """
    watch(count - len(missing), count)
    if hands.ray is None and min(hands.workers, len(missing)) <= 1:
        for done, number in enumerate(missing, start=count - len(missing) + 1):
            parts.here(number)
            watch(done, count)
    elif missing:
        with closing(_crew(hands, len(missing), parts)) as crew:
            _hand_out(list(missing), count, parts, crew, watch)


def _crew(hands: Hands, missing: int, parts: Parts) -> Crew:
    if hands.ray is not None:
        from preceptor.study.ray import RayCrew

        return RayCrew(hands.ray, 1, device=parts.device, work=parts.elsewhere)
    from preceptor.study.local import LocalCrew

    workers = min(hands.workers, missing)
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    return LocalCrew(workers, threads, device=parts.device, work=parts.elsewhere)


def _hand_out(waiting: list[int], count: int, parts: Parts, crew: Crew, watch: Watch) -> None:
    """Give parts to whoever is free; a part whose worker dies is given again, a few times."""
    done, attempts = count - len(waiting), dict.fromkeys(waiting, 0)
    with stop_requests() as asked:
        while (waiting or crew.busy) and not asked.count:
            while waiting and crew.free:
                number = waiting.pop(0)
                attempts[number] += 1
                log = parts.logs / f"{number}.log"
                crew.give(JobRequest(str(number), parts.folder.resolve(), log.resolve(), "", "auto"))
            for id, event in crew.events(1.0):
                if isinstance(event, Death) and attempts[int(id)] < _ATTEMPTS:
                    waiting.insert(0, int(id))
                elif isinstance(event, Death):
                    raise UserError(f"a worker {event.words} over part {id} {_ATTEMPTS} times; try fewer --workers")
                elif isinstance(event, JobOutcome) and event.outcome == "done":
                    done += 1
                    watch(done, count)
                elif isinstance(event, JobOutcome):
                    raise UserError(f"part {id} failed in a worker: {event.error}")
    if asked.count:
        raise InterruptedRunError(f"stopped after {done} of {count} parts; the same command goes on from there")


@contextmanager
def held(lock: Path, out: Path, doing: str) -> Iterator[None]:
    """Keep other processes out of ``out`` meanwhile.

    Raises:
        UserError: another process is at work there.
    """
    try:
        with file_lock(lock, wait=False):
            yield
    except BlockingIOError:
        raise UserError(f"another process is {doing} into {out}; wait for it, or give another folder") from None


def remove_unbegun(work: Path) -> None:
    """A work folder whose plan was never written whole: its process was killed, or the disk full, meanwhile."""
    for path in work.glob(".*.part"):
        found = _LEFTOVER.fullmatch(path.name)
        if found and not is_alive(int(found["process"])):
            path.unlink(missing_ok=True)
    with suppress(OSError):  # it holds more, or is not there
        work.rmdir()


def remove_leftovers(out: Path) -> None:
    """What a killed process left half written."""
    for path in out.rglob(".*.part"):
        if _LEFTOVER.fullmatch(path.name):
            path.unlink(missing_ok=True)
