"""Methods over several data sets: ranks, whether these differ, and what a typical run comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from preceptor.measures.arrays import Float64
from preceptor.measures.claims import LEVEL, least_p_value
from preceptor.measures.significance import holm, wilcoxon
from preceptor.measures.uncertainty import Interval, percentile_interval

_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class RankTest:
    """Whether methods differ over data sets.

    Args:
        average_ranks: of each method; the best of a data set has 1, equal ones share their ranks.
        friedman: p-value of Friedman's test that all methods are alike.
        corrected: (first, second) -> p-value of Wilcoxon's signed-rank test, corrected by Holm's method for all pairs.
        data_sets: how many there are.
        needed: from how many on a difference of two methods could be claimed at all.
    """

    average_ranks: Float64
    friedman: float
    corrected: Mapping[tuple[int, int], float]
    data_sets: int
    needed: int

    @property
    def is_possible(self) -> bool:
        """Whether there are enough data sets for any two methods to be told apart."""
        return self.data_sets >= self.needed

    def differ(self, first: int, second: int) -> bool:
        """Whether two methods are told apart: some differ (Friedman), and these two do (Wilcoxon, Holm)."""
        pair = (min(first, second), max(first, second))
        return self.is_possible and self.friedman <= LEVEL and self.corrected[pair] <= LEVEL

    @property
    def alike(self) -> list[tuple[int, ...]]:
        """The largest sets of methods, next to each other in rank, none of which are told apart."""
        order = [int(n) for n in np.argsort(self.average_ranks, kind="stable")]
        found: list[tuple[int, ...]] = []
        for start in range(len(order)):
            end = start + 1
            while end < len(order) and not any(self.differ(one, order[end]) for one in order[start:end]):
                end += 1
            run = tuple(order[start:end])
            if len(run) > 1 and not any(set(run) <= set(other) for other in found):
                found.append(run)
        return found


def rank_test(scores: Float64) -> RankTest:
    """Ranks of methods, whether they differ, and which do.

    Friedman's test asks whether all methods are alike. Pairs are then compared by Wilcoxon's signed-rank test over data
    sets with Holm's correction, not by their mean ranks: those of two methods would hang on which others are compared.

    Args:
        scores: (D, M) of each method on each data set, two of either or more; the more the better.

    Source: Demšar 2006, JMLR 7:1; the pairs as in Benavoli, Corani & Mangili 2016, JMLR 17(5).
    """
    stats, (sets, methods) = _stats(), scores.shape
    ranks = stats.rankdata(-scores, axis=1)
    pairs = list(combinations(range(methods), 2))
    p_values = holm([wilcoxon(scores[:, one], scores[:, other]).p_value for one, other in pairs])
    return RankTest(
        average_ranks=ranks.mean(axis=0),
        friedman=_friedman(ranks),
        corrected=dict(zip(pairs, p_values, strict=True)),
        data_sets=sets,
        needed=data_sets_needed(methods),
    )


def _friedman(ranks: Float64) -> float:
    """p-value of the chi-squared form, corrected for ties; 1 where all ranks are tied."""
    if (ranks == ranks[:, :1]).all():
        return 1.0
    if ranks.shape[1] == 2:  # which is the sign test's normal form
        first, second = int((ranks[:, 0] < ranks[:, 1]).sum()), int((ranks[:, 0] > ranks[:, 1]).sum())
        return float(_stats().chi2.sf((first - second) ** 2 / max(1, first + second), df=1))
    return float(_stats().friedmanchisquare(*ranks.T).pvalue)


def data_sets_needed(methods: int) -> int:
    """From how many data sets on the smallest p-value that there could be, times all pairs, is at most the level."""
    pairs, count = methods * (methods - 1) // 2, 2
    while least_p_value(count) * pairs > LEVEL:
        count += 1
    return count


def normalised(scores: Sequence[Sequence[Sequence[float]]]) -> list[list[Float64]]:
    """Scores by data set, method and seed, so that on each data set the worst method's mean is 0 and the best's 1.

    One half all over where all means are equal.
    """
    found = []
    for of_set in scores:
        means = [float(np.mean(seeds)) for seeds in of_set]
        low, width = min(means), max(means) - min(means)
        found.append([(np.asarray(seeds) - low) / width if width else np.full(len(seeds), 0.5) for seeds in of_set])
    return found


def interquartile_mean(of_sets: Sequence[Float64], *, resamples: int = _RESAMPLES, seed: int = 0) -> Interval:
    """Mean of the middle half of all runs of a method, with an interval: seeds are drawn anew within each data set.

    Args:
        of_sets: the normalised scores of its seeds on each data set.

    Source: Agarwal et al. 2021, arXiv:2108.13264, section 4.3.
    """
    generator = np.random.default_rng(seed)
    drawn = [one[generator.integers(len(one), size=(resamples, len(one)))] for one in of_sets]
    again = _stats().trim_mean(np.concatenate(drawn, axis=1), 0.25, axis=1)
    point = float(_stats().trim_mean(np.concatenate(list(of_sets)), 0.25))
    return percentile_interval(point, np.asarray(again, dtype=np.float64), sum(map(len, of_sets)))


def _stats() -> Any:
    """SciPy's distributions, which take most of a second to import."""
    from scipy import stats

    return stats
