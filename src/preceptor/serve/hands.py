"""Threads that make answers, and do not keep the process alive: what a decoder is busy with cannot be interrupted."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

Said = TypeVar("Said")


class Hands:
    """So many threads, which begin when they are first wanted."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    async def do(self, make: Callable[[], Said]) -> Said:
        """What ``make`` returns or raises, by one of the threads; who stops waiting for it leaves the thread busy."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Said] = loop.create_future()

        def work() -> None:
            if done.cancelled():
                return
            said, error = None, None
            try:
                said = make()
            except BaseException as found:  # whatever it is, whoever waits is to have it
                error = found
            with suppress(RuntimeError):  # nobody waits any more: the loop is closed
                loop.call_soon_threadsafe(_settle, done, said, error)

        if len(self._threads) < self._count:
            self._threads.append(threading.Thread(target=self._run, daemon=True))
            self._threads[-1].start()
        self._work.put(work)
        return await done

    def _run(self) -> None:
        while True:
            self._work.get()()


def _settle(done: asyncio.Future[Any], said: object, error: BaseException | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(said)
    else:
        done.set_exception(error)
