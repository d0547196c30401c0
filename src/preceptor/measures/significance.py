"""Is one network better than another on the same test samples, or was it luck?

All tests are paired and two-sided. Correct their p-values together with :func:`holm` before calling
anything better, then say it in words with :func:`difference_in_words`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from preceptor.groupings import units_of
from preceptor.measures.arrays import Flags, Float64, Floats
from preceptor.measures.classification import placements
from preceptor.measures.uncertainty import group_sums, spread

_EXACT_UNITS = 14


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Two networks on the same samples.

    Args:
        difference: first minus second, in the units of the metric.
        p_value: two-sided.
        units: independent samples or groups that the test saw.
        test: its name, for the report.
        variance: of the difference, over these.
    """

    difference: float
    p_value: float
    units: int
    test: str
    variance: float = 0.0


def mcnemar(first: Flags, second: Flags, *, method: Literal["exact", "mid_p", "chi2"] = "mid_p") -> PairedTest:
    """McNemar's test of accuracy, from which samples (N,) each network got right.

    ``exact`` is the binomial test on the samples that only one got right, ``mid_p`` its less conservative
    form (Fagerland, Lydersen & Laake 2013), ``chi2`` the asymptotic one without continuity correction.
    Samples must be independent: with several images per patient take :func:`paired_permutation`.
    """
    _same_length(first, second)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_first + only_second
    stats = _stats()
    if differing == 0:
        p_value = 1.0
    elif method == "chi2":
        p_value = float(stats.chi2.sf((only_first - only_second) ** 2 / differing, df=1))
    else:
        fewer = min(only_first, only_second)
        p_value = 2 * float(stats.binom.cdf(fewer, differing, 0.5))
        if method == "mid_p":
            p_value -= float(stats.binom.pmf(fewer, differing, 0.5))
        p_value = min(1.0, p_value)
    difference = (only_first - only_second) / len(first)
    variance = (differing / len(first) - difference**2) / max(1, len(first) - 1)
    return PairedTest(difference, p_value, len(first), f"McNemar, {method.replace('_', '-')}", variance)


def paired_permutation(
    first: NDArray[np.number],
    second: NDArray[np.number],
    *,
    groups: Sequence[object] | None = None,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedTest:
    """Paired permutation test of a mean: the networks are exchanged within each sample, or each whole group.

    Exact over all exchanges for up to 14 units, else by ``resamples`` random ones, with the observed
    one counted (Phipson & Smyth 2010).

    Args:
        first, second: (N,) score of each sample (right or wrong, IoU), or its mean over seeds.
        groups: (N,) patient, lesion or slide.
    """
    _same_length(first, second)
    single = first.astype(np.float64) - second
    gaps, sizes = group_sums(np.stack([single, np.ones(len(first))], axis=1), groups).T
    units = len(gaps)
    observed = abs(gaps.sum())
    slack = 1e-9 * max(1.0, np.abs(gaps).sum())
    if units <= _EXACT_UNITS:
        bits = np.arange(2**units)[:, None] >> np.arange(units) & 1
        p_value = float((np.abs((1 - 2 * bits) @ gaps) >= observed - slack).mean())
    else:
        as_extreme = _random_exchanges(gaps, observed - slack, resamples, np.random.default_rng(seed))
        p_value = (as_extreme + 1) / (resamples + 1)
    difference = float(gaps.sum() / len(first))
    return PairedTest(
        difference, p_value, units, "paired permutation", _variance(gaps - difference * sizes, len(first))
    )


def delong(labels: Flags, first: Floats, second: Floats, *, groups: Sequence[object] | None = None) -> PairedTest:
    """DeLong's test of two AUROCs on the same samples, or of their means over seeds.

    The AUROC is a mean of placements, so that of several seeds is one of the placements' means.

    Args:
        labels: (N,) True for the positive class; at least two samples of each.
        first, second: (N,) score of the positive class, or (S, N) with a row per seed.
        groups: (N,) patient, lesion or slide: samples of a group are not taken as independent.

    Source: DeLong, DeLong & Clarke-Pearson 1988; placements from midranks, Sun & Xu 2014; groups as in
    Obuchowski 1997, as the sum of squares of the groups' own contributions.
    """
    rows = [np.atleast_2d(scores) for scores in (first, second)]
    if labels.ndim != 1 or any(scores.shape[1:] != labels.shape for scores in rows):
        raise ValueError(
            f"DeLong's test wants one label per score, got {labels.shape} labels, {first.shape} and {second.shape}"
        )
    if min(labels.sum(), (~labels).sum()) < 2:
        raise ValueError("DeLong's test wants two samples or more of each class")
    positives, negatives = zip(*(_mean_placements(scores, labels) for scores in rows), strict=True)
    of_positives, of_negatives = positives[0] - positives[1], negatives[0] - negatives[1]
    difference = float(of_positives.mean())
    if groups is None:
        units = len(labels)
        variance = np.var(of_positives, ddof=1) / len(of_positives) + np.var(of_negatives, ddof=1) / len(of_negatives)
    else:
        share = np.empty(len(labels))  # what each sample adds to the difference's deviation
        share[labels] = (of_positives - of_positives.mean()) / len(of_positives)
        share[~labels] = (of_negatives - of_negatives.mean()) / len(of_negatives)
        of_groups = group_sums(share[:, None], groups)[:, 0]
        units = len(of_groups)
        variance = (of_groups**2).sum() * units / max(1, units - 1)
    if variance > 0:
        p_value = 2 * float(_stats().norm.sf(abs(difference) / variance**0.5))
    else:
        p_value = 1.0 if difference == 0 else 0.0
    return PairedTest(difference, p_value, units, "DeLong", float(variance))


def wilcoxon(first: Floats, second: Floats) -> PairedTest:
    """Wilcoxon's signed-rank test over images (N,), such as their IoU; ``difference`` is that of the means."""
    _same_length(first, second)
    gaps = first.astype(np.float64) - second
    p_value = float(_stats().wilcoxon(gaps).pvalue) if gaps.any() else 1.0
    variance = _variance(gaps - gaps.mean(), len(gaps))
    return PairedTest(float(gaps.mean()), p_value, len(gaps), "Wilcoxon signed-rank", variance)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for being several (Holm 1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(factors * np.asarray(p_values)[order]))
    return [float(p) for p in corrected]


def difference_in_words(
    first: str,
    second: str,
    *,
    metric: str,
    seed_differences: Sequence[float],
    p_value: float,
    samples: int,
    groups: int | None = None,
    grouping: str | None = None,
    level: float = 0.05,
    higher_is_better: bool = True,
) -> str:
    """One sentence on two networks: a difference is claimed where the corrected p-value is at most the level.

    Args:
        metric: its name.
        seed_differences: first minus second for each seed, as shares (0.01 is one point).
        p_value: corrected for all comparisons made.
        samples, groups: what the test saw.
        grouping: what a group is, such as ``patient``.
    """
    gap = spread(seed_differences)
    runs = f"{gap.count} seed{'s' if gap.count > 1 else ''}"
    seen = f"n={samples:,}" + (f" in {groups:,} {units_of(grouping)}" if groups is not None else "")
    deviation = "" if gap.deviation is None else f" ± {100 * gap.deviation:.2f}"
    evidence = f"{metric} {100 * gap.mean:+.2f}{deviation} points, {p_text(p_value)}"
    if p_value > level:
        return f"{first} and {second}: not distinguishable with {runs} and {seen}: {evidence}."
    word = "better" if (gap.mean > 0) == higher_is_better else "worse"
    return f"{first} is {word} than {second}: {evidence}, with {runs} and {seen}."


def _stats() -> Any:
    """SciPy's distributions, which take most of a second to import; the table of measures must not wait for them."""
    from scipy import stats

    return stats


def p_text(p_value: float) -> str:
    """As it stands in a sentence."""
    return "p<0.001" if p_value < 0.001 else f"p={p_value:.3f}"


def _mean_placements(scores: Floats, positive: Flags) -> tuple[Float64, Float64]:
    """:func:`placements`, averaged over the rows (S, N)."""
    above, below = zip(*(placements(row, positive) for row in scores), strict=True)
    return np.mean(above, axis=0), np.mean(below, axis=0)


def _random_exchanges(gaps: Float64, observed: float, resamples: int, generator: np.random.Generator) -> int:
    """How many random sign patterns give a sum at least as far from 0 as ``observed``."""
    gaps = gaps[gaps != 0]
    width = -(-len(gaps) // 8)  # bytes of random bits for one pattern
    step = max(1, 1_000_000 // max(1, len(gaps)))  # small enough for the cache
    found = 0
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = np.frombuffer(generator.bytes(rows * width), dtype=np.uint8).reshape(rows, width)
        signs = np.unpackbits(drawn, axis=1, count=len(gaps)).astype(np.float64)
        found += int((np.abs(2 * (signs @ gaps) - gaps.sum()) >= observed).sum())
    return found


def _variance(deviations: Float64, samples: int) -> float:
    """Of a mean over ``samples``, from what each of the independent units adds to its deviation."""
    return float((deviations**2).sum() * len(deviations) / max(1, len(deviations) - 1)) / samples**2


def _same_length(first: NDArray[np.generic], second: NDArray[np.generic]) -> None:
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"paired tests want two equally long rows, got shapes {first.shape} and {second.shape}")
