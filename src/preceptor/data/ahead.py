"""Doing work ahead of its use, in threads, without changing its order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from preceptor.errors import UserError

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
            try:
                waiting.append(pool.submit(work, number))
            except RuntimeError as error:  # Python says no more of a process limit or of memory that is used up
                if "thread" not in str(error):
                    raise
                raise UserError(
                    f"the system lets no further thread start ({error}): the memory or the number of processes that "
                    "this shell may use is reached; see `ulimit -a`, or close other programs"
                ) from None
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
