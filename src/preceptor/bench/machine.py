"""What this machine computes at best, against which the training of networks is held."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F

LONG_ENOUGH = 0.02
"""Seconds; a shorter call says more about starting it than about computing."""

TRIES = 3


@dataclass(frozen=True, slots=True)
class Best:
    """Multiply-adds per second of one operation alone, with torch's threads as they are set.

    Args:
        product: of two square matrices.
        convolution: 3x3, stride 1, in the faster memory layout.
    """

    product: float
    convolution: float

    @property
    def rate(self) -> float:
        """The higher of them."""
        return max(self.product, self.convolution)


def measure_best(device: torch.device, precision: torch.dtype | None) -> Best:
    """Time both operations in ``precision``, None being float32, without gradient."""
    dtype = precision or torch.float32
    layouts = (torch.contiguous_format, torch.channels_last)
    return Best(
        product=_rate(lambda size: _product(size, device, dtype)),
        convolution=max(_rate(lambda size, lay=lay: _convolution(size, device, dtype, lay)) for lay in layouts),  # type: ignore[misc]
    )


_Work = tuple[Callable[[], object], int]  # a call, and its multiply-adds


def _product(size: int, device: torch.device, dtype: torch.dtype) -> _Work:
    side = 512 * size
    one, other = torch.rand(2, side, side, device=device).to(dtype)
    return lambda: one @ other, side**3


def _convolution(size: int, device: torch.device, dtype: torch.dtype, layout: torch.memory_format) -> _Work:
    images, channels, side = 8 * size, 128, 28
    maps = torch.rand(images, channels, side, side, device=device).to(dtype).contiguous(memory_format=layout)
    weights = torch.rand(channels, channels, 3, 3, device=device).to(dtype).contiguous(memory_format=layout)
    return lambda: F.conv2d(maps, weights, padding=1), images * side**2 * 9 * channels**2


@torch.no_grad()
def _rate(make: Callable[[int], _Work]) -> float:
    """The highest rate at sizes that double until one call takes :data:`LONG_ENOUGH`."""
    best, size = 0.0, 1
    while True:
        call, work = make(size)
        call()
        seconds = min(_seconds(call) for _ in range(TRIES))
        best = max(best, work / seconds)
        if seconds >= LONG_ENOUGH:
            return best
        size *= 2


def _seconds(call: Callable[[], object]) -> float:
    wait_for_device()
    began = time.perf_counter()
    call()
    wait_for_device()
    return time.perf_counter() - began


def wait_for_device() -> None:
    """Let a GPU, if there is one, come to the end of what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
