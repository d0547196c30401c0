"""The paired tests anew, and the correction of their p-values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import stats

from preceptor.verify.answers import Array, Said
from preceptor.verify.class_scores import area, placements
from preceptor.verify.intervals import added, units_of
from preceptor.verify.mask_scores import overlap
from preceptor.verify.score import Score

_POOLED = ("iou", "f1", "surface_dice")
_EXCHANGES = 10_000
_DEVIATIONS = 5
"""How many standard errors two samplings of the same exchanges may be apart."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what a p-value lies; more than a point only where exchanges are drawn by chance."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Tested:
    """A paired test: its p-value, variance of the difference over units, how many of these, samples, groups."""

    p_value: Bounds
    variance: float
    units: int
    samples: int
    groups: int | None
    is_delong: bool = False


Pairs = Sequence[tuple[Said, Said]]
Groups = Callable[[Sequence[str]], Sequence[str] | None]


def tested(key: str, pairs: Pairs, score: Score, groups_of: Groups) -> Tested:
    """The test by which methods are compared in a score; ``pairs`` has a pair for each seed."""
    if key == "auroc":
        return _delong(pairs, groups_of)
    ids = list(dict.fromkeys(name for one, _ in pairs for name in one.ids))
    place, groups = {name: row for row, name in enumerate(ids)}, groups_of(ids)
    units = units_of(ids, groups)
    count = None if groups is None else int(units.max()) + 1
    if key == "accuracy" and len(pairs) == 1 and groups is None:
        return _mcnemar(pairs[0])
    if key in _POOLED and pairs[0][0].labels is None:
        gaps = np.mean(
            [_left_out(one, score, place, units) - _left_out(two, score, place, units) for one, two in pairs], 0
        )
        return _exchanged(gaps, np.ones(len(gaps)), len(ids), count)
    total, seen = np.zeros(len(ids)), np.zeros(len(ids))
    for one, two in pairs:
        rows = np.array([place[name] for name in one.ids])
        total[rows] += _of_samples(key, one) - _of_samples(key, two)
        seen[rows] += 1
    gaps, sizes = added(np.column_stack([total / seen, np.ones(len(ids))]), units).T
    return _exchanged(gaps, sizes, len(ids), count)


def _of_samples(key: str, said: Said) -> Array:
    if key == "accuracy":
        return np.asarray((said.values.argmax(axis=1) == said.labels).astype(float))
    return np.asarray(overlap(said.values, 1 if key.startswith("iou") else 2).mean(axis=1))


def _left_out(said: Said, score: Score, place: dict[str, int], units: Array) -> Array:
    """(U,) pseudo-values of the jackknife over units."""
    assert score.columns is not None
    assert score.of_sums is not None
    count = int(units.max()) + 1
    values = score.columns(said)
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, units[[place[name] for name in said.ids]], values)
    whole = score.of_sums(sums.sum(axis=0, keepdims=True))[0]
    if count < 2:
        return np.full(count, whole)
    without = np.array([score.of_sums((sums.sum(axis=0) - one)[None])[0] for one in sums])
    return np.asarray(count * whole - (count - 1) * without)


def _exchanged(gaps: Array, sizes: Array, samples: int, groups: int | None) -> Tested:
    """The permutation test: all exchanges of up to 14 units, else random ones."""
    count, observed = len(gaps), abs(gaps.sum()) - 1e-9 * max(1.0, np.abs(gaps).sum())
    if count <= 14:
        sums = [abs(float(np.dot(signs, gaps))) for signs in product((1, -1), repeat=count)]
        share = float(np.mean(np.array(sums) >= observed))
        p_value = Bounds(share, share)
    else:
        p_value = _by_chance(gaps, observed)
    whole = sizes.sum()  # samples, or as many as there are pseudo-values
    spread = gaps - gaps.sum() / whole * sizes
    variance = float((spread**2).sum() * count / max(1, count - 1) / whole**2)
    return Tested(p_value, variance, count, samples, groups)


def _by_chance(gaps: Array, observed: float) -> Bounds:
    generator, hits = np.random.default_rng(20), 0
    for _ in range(20):
        signs = generator.choice([-1.0, 1.0], size=(_EXCHANGES // 20, len(gaps)))
        hits += int((np.abs(signs @ gaps) >= observed).sum())
    share = (hits + 1) / (_EXCHANGES + 1)
    error = _DEVIATIONS * (2 * share * (1 - share) / _EXCHANGES) ** 0.5 + 5 / _EXCHANGES
    return Bounds(max(0.0, share - error), min(1.0, share + error))


def _mcnemar(pair: tuple[Said, Said]) -> Tested:
    first, second = (said.values.argmax(axis=1) == said.labels for said in pair)
    lead, trail, count = int(np.sum(first & ~second)), int(np.sum(second & ~first)), len(first)
    differing, fewer = lead + trail, min(lead, trail)
    p_value = 1.0
    if differing:
        chances = stats.binom(differing, 0.5)
        p_value = min(1.0, 2 * float(chances.cdf(fewer)) - float(chances.pmf(fewer)))
    gap = (lead - trail) / count
    variance = (differing / count - gap**2) / max(1, count - 1)
    return Tested(Bounds(p_value, p_value), variance, count, count, None)


def _delong(pairs: Pairs, groups_of: Groups) -> Tested:
    said, labels = pairs[0][0], pairs[0][0].labels
    assert labels is not None, "AUROC is of classes"
    positive, groups = labels == 1, groups_of(said.ids)
    each = [[placements(one.values[:, 1], positive) for one in pair] for pair in pairs]
    above, below = (np.mean([one[part] - two[part] for one, two in each], axis=0) for part in (0, 1))
    gap = np.mean([area(one.values[:, 1], positive) - area(two.values[:, 1], positive) for one, two in pairs])
    if groups is None:
        units = len(positive)
        variance = above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below)
    else:
        shares = np.zeros(len(positive))
        shares[positive], shares[~positive] = (above - gap) / len(above), (below - gap) / len(below)
        sums = added(shares[:, None], units_of(said.ids, groups))[:, 0]
        units = len(sums)
        variance = (sums**2).sum() * units / max(1, units - 1)
    p_value = float(2 * stats.norm.sf(abs(gap) / variance**0.5)) if variance > 0 else float(gap == 0)
    return Tested(Bounds(p_value, p_value), float(variance), units, len(positive), units if groups else None, True)


def over_seeds(
    first: Sequence[float], second: Sequence[float], variance: float, units: int
) -> tuple[float, float, float | None]:
    """p-values of Welch's test over seeds, and of that with the variance over units besides; 1 for a single seed.

    With half of the 95 % interval that belongs to the second.
    """
    if len(first) < 2:
        return 1.0, 1.0, None
    gap, freedom = float(np.mean(first) - np.mean(second)), len(first) - 1
    parts = [float(np.var(one, ddof=1)) / len(one) for one in (first, second)]
    every, frees = [*parts, variance], [freedom, freedom, max(units - 1, 1)]
    return _student(gap, parts, frees[:2]), _student(gap, every, frees), _half_interval(every, frees)


def _half_interval(parts: Sequence[float], freedom: Sequence[int]) -> float:
    total = sum(parts)
    doubt = sum(part**2 / free for part, free in zip(parts, freedom, strict=True))
    return float(stats.t.ppf(0.975, total**2 / doubt) * total**0.5) if doubt > 0 else 0.0


def _student(gap: float, parts: Sequence[float], freedom: Sequence[int]) -> float:
    total = sum(parts)
    doubt = sum(part**2 / free for part, free in zip(parts, freedom, strict=True))
    if doubt <= 0:
        return float(gap == 0)
    return float(2 * stats.t.sf(abs(gap) / total**0.5, df=total**2 / doubt))


def shares(alone: Sequence[bool], pairs: int) -> list[float]:
    """Of the level: half to comparisons with students alone, half to all other pairs of methods."""
    own = sum(alone)
    others = max(pairs, len(alone)) - own
    half = 0.5 if own and others else 1.0
    return [half / own if one else half / others for one in alone]


def corrected(p_values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Holm's method with weights (1979)."""
    left, largest, found = 1.0, 0.0, [0.0] * len(p_values)
    for n in sorted(range(len(p_values)), key=lambda n: p_values[n] / weights[n]):
        largest = max(largest, p_values[n] * left / weights[n])
        found[n], left = min(1.0, largest), left - weights[n]
    return found
