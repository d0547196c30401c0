"""How far a measured number may be off: spread over seeds, bootstrap over patients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preceptor.measures.arrays import Float64, Int64


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and sample standard deviation (n - 1) of ``count`` runs; no deviation for a single one."""

    mean: float
    deviation: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its confidence interval at ``level``, from ``units`` independent groups or samples."""

    value: float
    low: float
    high: float
    units: int
    level: float = 0.95


def spread(values: Sequence[float]) -> Spread:
    """Mean ± sample standard deviation over seeds."""
    if not values:
        raise ValueError("spread: no values were given")
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(mean=float(np.mean(values)), deviation=deviation, count=len(values))


class Resampler:
    """Bootstrap resamples of the same samples, drawn once for whatever is added up over them.

    Args:
        size: number of samples N.
        groups: (N,) patient, lesion or slide: whole groups are drawn. None draws samples one by one.

    Attributes:
        units: independent groups or samples.
    """

    def __init__(
        self, size: int, *, groups: Sequence[object] | None = None, resamples: int = 2000, seed: int = 0
    ) -> None:
        self._places = None if groups is None else _group_places(groups, size)
        self.units = size if self._places is None else int(self._places.max()) + 1
        generator = np.random.default_rng(seed)
        self._drawn = np.empty((resamples, self.units), dtype=np.uint16)  # how often each unit is in each resample
        for row in self._drawn:
            row[:] = np.bincount(generator.integers(self.units, size=self.units), minlength=self.units)

    def sums(self, columns: NDArray[np.number]) -> tuple[Float64, Float64]:
        """Sums of the columns (N, M) over all samples, (1, M), and over each resample, (B, M) in float32."""
        totals = _sums_at(columns, self._places)
        single = totals.astype(np.float32)
        together = max(1, 4_000_000 // self.units)  # one product of matrices is much quicker than many with a vector
        parts = range(0, len(self._drawn), together)
        sums = np.concatenate([self._drawn[start : start + together].astype(np.float32) @ single for start in parts])
        return totals.sum(axis=0, keepdims=True), sums.astype(np.float64)


def bootstrap_sums(
    columns: NDArray[np.number],
    statistic: Callable[[Float64], Float64],
    *,
    groups: Sequence[object] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of a statistic of column sums, such as a mean or a ratio; 2,000 resamples take moments.

    Mean accuracy is ``sums[:, 0] / sums[:, 1]`` of the columns (correct, 1); pooled IoU follows from the
    columns tp, fp, fn; macro F1 from one column per cell of the confusion matrix.

    Args:
        columns: (N, M), a row per sample.
        statistic: (B, M) sums -> (B,) values.
        groups: (N,) patient, lesion or slide: whole groups are drawn. None draws samples one by one.

    Source: Efron & Tibshirani 1993, chapter 13; groups as clusters, Davison & Hinkley 1997, section 3.8.
    """
    resampler = Resampler(len(columns), groups=groups, resamples=resamples, seed=seed)
    whole, sums = resampler.sums(columns)
    return percentile_interval(float(statistic(whole)[0]), statistic(sums), resampler.units, level=level)


def bootstrap(
    statistic: Callable[[Int64], float],
    size: int,
    *,
    groups: Sequence[object] | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of any statistic of rows, such as AUROC; :func:`bootstrap_sums` is faster where it fits.

    Resamples in which the statistic is undefined (it returns NaN: AUROC with one class) are left out.

    Args:
        statistic: row numbers, with repeats -> value.
        size: number of rows N.
        groups: (N,) patient, lesion or slide: whole groups are drawn.
    """
    places = _group_places(groups, size)
    order = np.argsort(places, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(places))[:-1])
    units = len(members)
    generator = np.random.default_rng(seed)
    values = np.array(
        [
            statistic(np.concatenate([members[unit] for unit in generator.integers(units, size=units)]))
            if groups is not None
            else statistic(generator.integers(size, size=size))
            for _ in range(resamples)
        ]
    )
    values = values[~np.isnan(values)]
    if not len(values):
        raise ValueError("bootstrap: the statistic is undefined in every resample")
    return percentile_interval(statistic(np.arange(size)), values, units, level=level)


def percentile_interval(point: float, values: Float64, units: int, *, level: float = 0.95) -> Interval:
    """The interval that holds the middle ``level`` of the resampled ``values`` (B,)."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value=point, low=float(low), high=float(high), units=units, level=level)


def basic_interval(point: float, values: Float64, units: int, *, level: float = 0.95) -> Interval:
    """The interval of the resampled ``values`` (B,) mirrored at ``point``, for a value that noise makes larger.

    The expected calibration error adds up absolute values, so resampling noise adds to it as sampling noise
    did: percentiles would be off by twice the bias. Mirrored, they are corrected for it; they may lie below ``point``.

    Source: the basic bootstrap interval, Davison & Hinkley 1997, eq. 5.6.
    """
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value=point, low=max(0.0, 2 * point - high), high=2 * point - low, units=units, level=level)


def group_sums(columns: NDArray[np.number], groups: Sequence[object] | None) -> Float64:
    """(G, M) sums of the rows (N, M) of each group, in order of appearance; the rows themselves without groups."""
    return _sums_at(columns, None if groups is None else _group_places(groups, len(columns)))


def _sums_at(columns: NDArray[np.number], places: Int64 | None) -> Float64:
    if columns.ndim != 2 or not len(columns):
        raise ValueError(f"columns: shape {columns.shape}, (samples ≥ 1, columns) was wanted")
    if places is None:
        return columns.astype(np.float64)
    counted = [np.bincount(places, weights=column) for column in columns.astype(np.float64).T]
    return np.stack(counted, axis=1)


def _group_places(groups: Sequence[object] | None, size: int) -> Int64:
    """(N,) group number of each row."""
    if groups is None:
        return np.arange(size)
    if len(groups) != size:
        raise ValueError(f"groups: {len(groups)} for {size} samples")
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return np.array([numbers[group] for group in groups])
