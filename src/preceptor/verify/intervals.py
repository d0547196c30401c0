"""Bootstrap intervals anew: the draws are those of ``numpy.random.default_rng(0)``, so that they can be repeated."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from preceptor.verify.answers import Array, Said
from preceptor.verify.score import Score

_RESAMPLES = 2000


def units_of(ids: Sequence[str], groups: Sequence[str] | None) -> Array:
    """(N,) the number of each sample's unit, in the order in which units appear."""
    number: dict[str, int] = {}
    return np.array([number.setdefault(str(one), len(number)) for one in (groups if groups is not None else ids)])


@lru_cache(maxsize=2)
def draws(units: int, resamples: int = _RESAMPLES) -> Array:
    """(B, units) how often each unit is in each resample."""
    generator = np.random.default_rng(0)
    found = np.empty((resamples, units), dtype=np.uint16)
    for row in range(resamples):
        found[row] = np.bincount(generator.integers(units, size=units), minlength=units)
    return found


def added(values: Array, units: Array) -> Array:
    """(U, M) sums of the rows (N, M) of each unit."""
    found = np.zeros((int(units.max()) + 1, values.shape[1]))
    np.add.at(found, units, values)
    return found


def resampled(sums: Array) -> Array:
    """(B, M) sums over each resample of what the units (U, M) add."""
    parts = np.array_split(draws(len(sums)), max(1, len(sums) * _RESAMPLES // 8_000_000))
    return np.concatenate([part.astype(float) @ sums for part in parts])


def ends(point: float, again: Array, *, is_mirrored: bool = False) -> tuple[float, float]:
    """The middle 95 % of the resampled values, mirrored at the point for a value that noise makes larger."""
    low, high = np.quantile(again[~np.isnan(again)], [0.025, 0.975])
    return (max(0.0, 2 * point - high), 2 * point - low) if is_mirrored else (float(low), float(high))


def seeds_resampled(
    seeds: Sequence[Said], score: Score, groups: Callable[[Sequence[str]], Sequence[str] | None]
) -> tuple[float, Array, int]:
    """The mean over seeds of a score, that of each resample, and the units.

    A sample that a seed does not test adds nothing to it.

    Args:
        groups: ids -> group of each, if they are known.
    """
    assert score.columns is not None
    assert score.of_sums is not None
    ids = list(dict.fromkeys(name for said in seeds for name in said.ids))
    place, units = {name: row for row, name in enumerate(ids)}, units_of(ids, groups(ids))
    whole, again = [], []
    for said in seeds:
        rows = np.array([place[name] for name in said.ids])
        own = added(score.columns(said), units[rows])
        sums = np.zeros((int(units.max()) + 1, own.shape[1]))
        sums[: len(own)] = own
        whole.append(score.of_sums(sums.sum(axis=0, keepdims=True))[0])
        again.append(score.of_sums(resampled(sums)))
    return float(np.mean(whole)), np.mean(again, axis=0), int(units.max()) + 1
