"""How quick two models are against each other: rounds in turn, so that a busy machine slows both."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from preceptor.deploy.engines import OnnxEngine

ROUNDS = 9
_SECONDS = 0.02  # that a round lasts at least


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds of one call, medians of rounds.

    Args:
        batch: images in a call.
        first, second: of the two models.
    """

    batch: int
    first: float
    second: float

    @property
    def ratio(self) -> float:
        """How many times as quick the second is."""
        return self.first / self.second


def speeds(
    first: OnnxEngine, second: OnnxEngine, size: tuple[int, int, int], batches: tuple[int, ...], rounds: int = ROUNDS
) -> list[Speed]:
    """Both models on noise of ``size`` (C, H, W), batch by batch."""
    found = []
    for batch in batches:
        images = np.random.default_rng(0).random((batch, *size), dtype=np.float32)
        one, other = interleaved([partial(model.of_floats, images) for model in (first, second)], rounds)
        found.append(Speed(batch, one, other))
    return found


def interleaved(calls: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Median seconds of each call, over rounds in which each has its turn."""
    repeats = []
    for call in calls:
        call()
        repeats.append(max(1, round(_SECONDS / max(_seconds(call, 1), 1e-6))))
    times = [[_seconds(call, count) for call, count in zip(calls, repeats, strict=True)] for _ in range(rounds)]
    return [float(value) for value in np.median(times, axis=0)]


def _seconds(call: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count
