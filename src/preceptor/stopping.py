"""Requests to stop: SIGTERM from a scheduler, SIGINT from a keyboard."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopRequests:
    """How often the user or the system asked to stop."""

    count: int = 0


@contextmanager
def stop_requests(*, second_ends: bool = False) -> Iterator[StopRequests]:
    """Count SIGTERM and SIGINT instead of dying of them; a thread other than the main one counts nothing.

    Args:
        second_ends: the second signal of a kind does what it does elsewhere.
    """
    asked = StopRequests()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def note(number: int, frame: FrameType | None) -> None:
        asked.count += 1
        if second_ends:
            signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
