"""Which of many differences may be claimed, so that with no true one at most one table in twenty claims any.

A difference of two methods is of these seeds and these patients. :func:`seeds_p_value` asks whether other seeds would
say the same, :func:`seeds_and_units_p_value` whether other seeds and other patients would, :func:`corrected` does so
for all comparisons of a score together. All work on arrays, so that many tables can be judged at once
(``benchmarks/false_claims.py``).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from preceptor.measures.arrays import Flags, Float64

LEVEL = 0.05


def least_p_value(units: int) -> float:
    """The smallest p-value that exchanging two methods in so many samples or groups can have: 2 of 2^units ways."""
    return float(2.0 ** (1 - units))


def pairs_to_compare(means: Sequence[float], alone: Sequence[int | None]) -> list[tuple[int, int, bool]]:
    """Every method with its students alone, and the best with every other: (first, second, whether with these).

    Args:
        means: of each method, students alone among them; the more the better.
        alone: the place of each method's students alone; None where it has none, or is such.
    """
    pairs = [(place, other, True) for place, other in enumerate(alone) if other is not None]
    if len(means) > 1:
        best = int(np.argmax(means))
        met = {frozenset(pair[:2]) for pair in pairs}
        pairs += [(best, n, False) for n in range(len(means)) if n != best and frozenset((best, n)) not in met]
    return pairs


def seeds_p_value(first: ArrayLike, second: ArrayLike) -> Float64:
    """Two-sided p-value of the difference of two means over seeds, (..., S) and (..., S) to (...).

    Every method has its own variance over seeds (Welch 1947), so that a few unsteady ones neither lend their doubt to
    the others nor borrow their certainty.
    """
    gap, parts, freedom = _seed_parts(first, second)
    return _p_value(gap, parts, freedom)


def seeds_and_units_p_value(first: ArrayLike, second: ArrayLike, unit_variance: ArrayLike, units: int) -> Float64:
    r"""Two-sided p-value of the difference of two means over seeds, against what seeds and patients change together.

    .. math:: t = \frac{\bar{x} - \bar{y}}{\sqrt{s_x^2 / S + s_y^2 / S + v}}

    Seeds and patients are two crossed sources of chance: all networks answer for the same patients. Either alone may
    leave a difference that both together explain, hence the sum of the variances, as for readers and cases (Dorfman,
    Berbaum & Metz 1992); what neither explains is counted twice. Degrees of freedom are Satterthwaite's.

    Args:
        first, second: (..., S) a method's score with each seed, two seeds or more.
        unit_variance: (...) of the difference of the means, over samples or whole groups.
        units: independent samples or groups.

    Returns:
        (...): 1 where nothing differs, 0 where it does and nothing varies.
    """
    gap, parts, freedom = _seed_parts(first, second)
    return _p_value(gap, [*parts, np.asarray(unit_variance, dtype=np.float64)], [*freedom, max(units - 1, 1)])


def seeds_and_units_margin(first: ArrayLike, second: ArrayLike, unit_variance: ArrayLike, units: int) -> Float64:
    """Half the width of the 95 % interval of the difference of two means over seeds: (...).

    Of the test of :func:`seeds_and_units_p_value`: 0 lies outside the interval where its p-value is below 0.05.
    """
    from scipy import stats

    _, parts, freedom = _seed_parts(first, second)
    variance, df = _pooled([*parts, np.asarray(unit_variance, dtype=np.float64)], [*freedom, max(units - 1, 1)])
    found: Float64 = np.where(df > 0, stats.t.isf(LEVEL / 2, df=np.where(df > 0, df, 1.0)) * np.sqrt(variance), 0.0)
    return found


def shares_of_level(against_alone: Flags, pairs: int) -> Float64:
    """The share of the level that each comparison has at first: (m,), of sum 1 or less.

    Half goes to the comparisons with the students alone. The other half goes to all other pairs of methods, for the
    best is the best of all: that it meets the others only once it is known does not make the pairs fewer.

    Args:
        against_alone: (m,) whether a comparison is with the students alone.
        pairs: of methods that could have been compared, these and others.
    """
    alone = int(against_alone.sum())
    others = max(pairs, len(against_alone)) - alone
    half = 0.5 if alone and others else 1.0
    return np.where(against_alone, half / max(alone, 1), half / max(others, 1))


def corrected(p_values: ArrayLike, shares: ArrayLike) -> Float64:
    """p-values (..., m) corrected for being several: Holm's method (1979) with the weights ``shares`` (m,).

    A difference may be claimed where its corrected p-value is at most the level. The level of pairs that were not
    compared is not passed on.
    """
    raw = np.asarray(p_values, dtype=np.float64)
    weights = np.broadcast_to(np.asarray(shares, dtype=np.float64), raw.shape)
    order = np.argsort(raw / weights, axis=-1, kind="stable")
    in_order = np.take_along_axis(weights, order, axis=-1)
    left = 1.0 - (np.cumsum(in_order, axis=-1) - in_order)
    steps = np.take_along_axis(raw, order, axis=-1) * left / in_order
    found = np.empty_like(raw)
    np.put_along_axis(found, order, np.minimum(1.0, np.maximum.accumulate(steps, axis=-1)), axis=-1)
    return found


def resamples_for(shares: Float64, least: int = 10_000) -> int:
    """Of the exchanges, so many that the comparison with the smallest share could still be claimed."""
    return max(least, int(2 / (LEVEL * shares.min()))) if len(shares) else least


def _seed_parts(first: ArrayLike, second: ArrayLike) -> tuple[Float64, list[Float64], list[int]]:
    """Gap of the means, the variance of each mean, their degrees of freedom."""
    scores = [np.asarray(one, dtype=np.float64) for one in (first, second)]
    gap = scores[0].mean(axis=-1) - scores[1].mean(axis=-1)
    return gap, [one.var(axis=-1, ddof=1) / one.shape[-1] for one in scores], [one.shape[-1] - 1 for one in scores]


def _p_value(gap: Float64, parts: Sequence[Float64], freedom: Sequence[int]) -> Float64:
    """Of Student's t with the sum of the variances ``parts`` and Satterthwaite's degrees of freedom."""
    from scipy import stats

    variance, df = _pooled(parts, freedom)
    p_values = 2 * stats.t.sf(np.abs(gap) / np.sqrt(np.where(df > 0, variance, 1.0)), df=np.where(df > 0, df, 1.0))
    found: Float64 = np.where(df > 0, p_values, np.where(gap == 0, 1.0, 0.0))
    return found


def _pooled(parts: Sequence[Float64], freedom: Sequence[int]) -> tuple[Float64, Float64]:
    """The sum of the variances and its degrees of freedom; 0 of them where nothing varies."""
    variance: Any = sum(parts)
    doubt: Any = sum(part**2 / free for part, free in zip(parts, freedom, strict=True))
    return variance, np.where(doubt > 0, variance**2 / np.where(doubt > 0, doubt, 1.0), 0.0)
