"""Doing work ahead of its use, in threads, without changing its order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_N = TypeVar("_N")
_T = TypeVar("_T")


def in_order(
    work: Callable[[_N], _T], numbers: Iterable[_N], workers: int, prepare: Callable[[], None] | None = None
) -> Iterator[_T]:
    """``work`` of each of ``numbers`` in turn, done ahead by ``workers`` threads (in place, with none).

    Few results wait at a time. An error comes out where its result was due. The threads end with the
    iterator, also when it is dropped half-way. Each thread calls ``prepare`` before anything else.
    """
    if not workers:
        yield from map(work, numbers)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="ahead", initializer=prepare)
    waiting: deque[Future[_T]] = deque()
    try:
        for number in numbers:
            waiting.append(pool.submit(work, number))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
