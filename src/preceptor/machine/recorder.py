"""Recording what a device does, to do it again in the same memory: CUDA graphs.

A graph knows addresses, not tensors: memory that is given back while a graph can be replayed is read all the same. So a
:class:`Recording` keeps the call that was recorded, and this refers to everything that it reads.
"""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import torch

WARM_UP = 3
"""Steps that run as they are before one is recorded: libraries choose their kernels, the optimiser makes its states."""
_T = TypeVar("_T")


class Recording(Generic[_T]):
    """Does again, in the same memory, all that a call started on the device.

    Attributes:
        found: what the call returned.

    Args:
        call: what was recorded; kept, and with it the tensors that it refers to.
    """

    def __init__(self, call: Callable[[], _T], replay: Callable[[], None], found: _T) -> None:
        self._call, self._replay, self.found = call, replay, found

    def __call__(self) -> None:
        self._replay()


class Recorder(Protocol):
    """What a device can do."""

    def aside(self, call: Callable[[], _T]) -> _T:
        """Do it as it will be done while it is recorded."""

    def record(self, call: Callable[[], _T]) -> Recording[_T]:
        """Record ``call``, which must refer to all that it reads: no attribute on the way may be replaced later."""

    def wait(self) -> None:
        """Return when the device has done everything."""


class Cuda:
    """CUDA graphs. Memory is kept by stream, so warming up and recording share one; and recordings share theirs."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's is untyped
        self._pool = torch.cuda.graph_pool_handle()

    def aside(self, call: Callable[[], _T]) -> _T:
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            found = call()
        torch.cuda.current_stream().wait_stream(self._stream)
        return found

    def record(self, call: Callable[[], _T]) -> Recording[_T]:
        graph = torch.cuda.CUDAGraph()
        # Threads that prepare batches use the device meanwhile, which the default mode would not allow them.
        with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
            found = call()
        return Recording(call, graph.replay, found)

    def wait(self) -> None:
        torch.cuda.synchronize()


RECORDERS: dict[str, type[Recorder]] = {"cuda": Cuda}
"""By type of device."""
