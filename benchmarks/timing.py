"""What the benchmarks share: when steps end, and how times are told."""

import statistics
import time
from collections.abc import Sequence


class Stamps:
    """A watcher that notes when steps end."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def stage(self, *what: object) -> None: ...
    def epoch(self, *what: object) -> None: ...
    def step(self, *what: object) -> None:
        self.at.append(time.perf_counter())


def spread(values: Sequence[float], unit: str = "", factor: float = 1.0, digits: int = 0) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else [*values] * 3
    return f"{middle * factor:.{digits}f}{unit} ({low * factor:.{digits}f}–{high * factor:.{digits}f})"
