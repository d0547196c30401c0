"""Are two methods different on the same test samples, and would they be with other seeds?

Two questions, two tests, and a difference is claimed only where both say so:

* Would other patients say the same of these networks? For every test sample, a method's score is averaged over
  the seeds that both methods have, and the averages are compared in a paired test over samples or whole groups.
* Would other seeds say the same? The difference of the means is compared with how much the seeds of one method
  differ, pooled over all methods of the table (the error term of a one-way analysis of variance). With a handful of
  seeds each, a method's own deviation says too little.

The larger p-value of the two is the pair's (an intersection-union test, Berger 1982); these are corrected by Holm.
Besides, two seeds or more are wanted, each of which points the same way. Where seeds differ much, as they do with
small sets, a test over samples alone would call luck a gain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from preceptor.measures import (
    Paired,
    PairedTest,
    delong,
    difference_in_words,
    is_distinguishable,
    mcnemar,
    paired_permutation,
    wilcoxon,
)
from preceptor.measures.classification import ranking_area
from preceptor.measures.measure import AnyMeasure
from preceptor.report.names import network_name
from preceptor.report.reading.runs import RunRecord
from preceptor.report.reading.samples import answers_of, groups_of
from preceptor.report.reading.studies import CellRecord
from preceptor.runs.predictions import Predictions

LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Difference:
    """What may be said of two cells on one network and metric.

    Args:
        tested: the mean over samples that the test compares, such as IoU per image for IoU.
        seed_differences: first minus second, seed by seed, in ``tested``.
        gap: mean of the differences of the metric itself, over the seeds that both have.
        seed_p: p-value of ``gap`` against the spread over seeds; 1 where no method has two seeds.
        corrected: the larger p-value, corrected for all comparisons of this metric.
        holds: the corrected p-value holds, and two seeds or more point the same way, in the metric itself too.
        words: a sentence on it.
    """

    first: CellRecord
    second: CellRecord
    network: str
    metric: str
    higher_is_better: bool
    tested: str
    comparison: PairedTest
    seed_differences: tuple[float, ...]
    samples: int
    groups: int | None
    gap: float
    seed_p: float
    corrected: float
    holds: bool
    words: str

    @property
    def least_p(self) -> float:
        """The smallest p-value, not corrected, that any difference could have with so few samples or groups."""
        return 0.0 if self.comparison.test == "DeLong" else 2.0 ** (1 - self.comparison.units)

    @property
    def word(self) -> str:
        """``better``, ``worse`` or ``not distinguishable``."""
        if not self.holds:
            return "not distinguishable"
        is_higher = bool(np.mean(self.seed_differences) > 0)
        return "better" if is_higher == self.higher_is_better else "worse"


def difference_of_cells(
    first: CellRecord, second: CellRecord, network: str, measure: AnyMeasure | None, resamples: int
) -> Difference | None:
    """The paired test of two cells; None where there is no test, no common seed or no common samples."""
    if measure is None or measure.paired is None:
        return None
    metric = measure.key
    seeds = [seed for seed in first.runs if seed in second.runs]
    runs = [run for seed in seeds for run in (first.runs[seed], second.runs[seed])]
    answers = [(first.runs[seed].predictions, second.runs[seed].predictions) for seed in seeds]
    pairs = [
        (one, other)
        for one, other in answers
        if one and other and network in one.networks and network in other.networks and _same_samples(one, other)
    ]
    if not seeds or len(pairs) < len(seeds):
        return None
    of_metric = [
        (a - b)
        for seed in seeds
        if (a := first.runs[seed].score(network, metric)) is not None
        and (b := second.runs[seed].score(network, metric)) is not None
    ]
    if measure.paired.test == "delong":
        found = _ranking(pairs, network, measure.paired, runs)
    else:
        found = _mean(pairs, network, measure.paired, runs, resamples)
    if found is None:
        return None
    comparison, differences, samples, groups = found
    agrees = len(of_metric) == len(seeds) and is_distinguishable(of_metric, 0.0)
    return Difference(
        first=first,
        second=second,
        network=network,
        metric=metric,
        higher_is_better=measure.higher_is_better,
        tested=measure.paired.label,
        comparison=comparison,
        seed_differences=tuple(differences),
        samples=samples,
        groups=groups,
        gap=float(np.mean(of_metric)) if of_metric else 0.0,
        seed_p=1.0,
        corrected=1.0,
        holds=agrees
        and len(seeds) > 1
        and np.sign(of_metric[0]) == np.sign(differences[0]) == np.sign(comparison.difference),
        words="",
    )


_Tested = tuple[PairedTest, list[float], int, int | None]


def _mean(
    pairs: Sequence[tuple[Predictions, Predictions]],
    network: str,
    paired: Paired[Any],
    runs: Sequence[RunRecord],
    resamples: int,
) -> _Tested:
    """A score of single samples, averaged over seeds: accuracy, or the IoU or F1 of images."""
    ids = list(dict.fromkeys(str(name) for one, _ in pairs for name in one.ids))
    place = {name: row for row, name in enumerate(ids)}
    sums, counts, differences = np.zeros((2, len(ids))), np.zeros(len(ids)), []
    for pair in pairs:
        rows = [place[str(name)] for name in pair[0].ids]
        both = np.stack([paired.values(answers_of(answer, network)) for answer in pair])
        sums[:, rows] += both
        counts[rows] += 1
        differences.append(float(both[0].mean() - both[1].mean()))
    first, second = sums / counts
    groups = groups_of(runs, ids)
    known = None if groups is None else len(set(groups))
    if paired.test == "wilcoxon":
        if groups is not None:  # images of one patient are not independent
            numbers = np.unique(groups, return_inverse=True)[1]
            first, second = (np.bincount(numbers, weights=values) / np.bincount(numbers) for values in (first, second))
        comparison = wilcoxon(first, second)
    elif paired.test == "mcnemar" and len(pairs) == 1 and groups is None:
        comparison = mcnemar(first > 0, second > 0)
    else:
        comparison = paired_permutation(first, second, groups=groups, resamples=resamples)
    return comparison, differences, len(ids), known


def _ranking(
    pairs: Sequence[tuple[Predictions, Predictions]], network: str, paired: Paired[Any], runs: Sequence[RunRecord]
) -> _Tested | None:
    """DeLong's test; for two classes, and seeds that share their samples."""
    labels, ids = pairs[0][0].labels, [str(name) for name in pairs[0][0].ids]
    sides = [[answers_of(answer, network) for answer in side] for side in zip(*pairs, strict=True)]
    alike = all([str(name) for name in one.ids] == ids for one, _ in pairs)
    if labels is None or not alike or pairs[0][0].networks[network].shape[1] != 2:
        return None
    if np.bincount(labels, minlength=2).min() < 2:
        return None
    groups = groups_of(runs, ids)
    first, second = (np.stack([paired.values(answers) for answers in side]) for side in sides)
    areas = [[ranking_area(values, labels == 1) for values in side] for side in (first, second)]
    differences = [a - b for a, b in zip(*areas, strict=True)]
    comparison = delong(labels == 1, first, second, groups=groups)
    return comparison, differences, len(ids), None if groups is None else len(set(groups))


def _same_samples(one: Predictions, other: Predictions) -> bool:
    if one.labels is None or other.labels is None:
        return one.labels is other.labels and np.array_equal(one.ids, other.ids)
    return np.array_equal(one.ids, other.ids) and np.array_equal(one.labels, other.labels)


def seed_p_value(gap: float, seeds: int, values: Sequence[Sequence[float]]) -> float:
    r"""Two-sided p-value of a difference of two means over ``seeds``, by the spread over seeds pooled over methods.

    .. math:: t = \frac{\mathrm{gap}}{s \sqrt{2 / S}}, \quad
        s^2 = \frac{\sum_m \sum_i (x_{mi} - \bar{x}_m)^2}{\sum_m (S_m - 1)}

    Args:
        values: the scores of each method's seeds. 1 where none has two.
    """
    free = sum(len(own) - 1 for own in values)
    if free < 1:
        return 1.0
    variance = sum(float(np.var(own)) * len(own) for own in values) / free
    if variance == 0:
        return 1.0 if gap == 0 else 0.0
    return 2 * float(stats.t.sf(abs(gap) / (variance * 2 / seeds) ** 0.5, df=free))


def judged(found: Difference, corrected: float) -> Difference:
    """With the corrected p-value and the verdict in words."""
    holds = found.holds and is_distinguishable(found.seed_differences, corrected, level=LEVEL)
    words = difference_in_words(
        found.first.title,
        found.second.title,
        metric=f"{found.tested} of {network_name(found.network)}",
        seed_differences=found.seed_differences,
        p_value=corrected,
        samples=found.samples,
        groups=found.groups,
        level=LEVEL,
        higher_is_better=found.higher_is_better,
    )
    if not holds and is_distinguishable(found.seed_differences, corrected, level=LEVEL):
        words = (
            f"{found.first.title} and {found.second.title}: not distinguishable: {found.tested} and {found.metric} "
            f"of {network_name(found.network)} do not point the same way in every seed."
        )
    return replace(found, corrected=corrected, holds=holds, words=words)
