"""How fast a recipe trains on this machine, where the time goes, and what to change first."""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.bench.expect import Expected, expected
    from preceptor.bench.report import BenchReport, StageReport, bench

__all__ = [
    "BenchReport",
    "Expected",
    "StageReport",
    "bench",
    "expected",
]

__getattr__ = lazy_names(
    __name__,
    {
        "expect": ["Expected", "expected"],
        "report": ["BenchReport", "StageReport", "bench"],
    },
)
