"""Are two methods different on the same test samples, and would they be with other seeds?

One score a comparison: what is shown is what is tested. Three p-values, and the largest one counts (an
intersection-union test, Berger 1982):

* Would other patients say the same of these networks? Two methods are exchanged in single samples or whole groups, with
  every sample's answers averaged over the seeds that both have; DeLong's test of AUROC.
* Would other seeds say the same? Welch's test of the means over seeds, each method with its own variance.
* Would other seeds and other patients say the same? The difference against the sum of both variances.

They are corrected together (:mod:`preceptor.measures.claims`). One seed shows nothing, and fewer than six groups can
show nothing, however large the difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from preceptor.groupings import units_of
from preceptor.measures import PairedTest, delong, difference_in_words, mcnemar, paired_permutation, wilcoxon
from preceptor.measures.claims import (
    LEVEL,
    least_p_value,
    seeds_and_units_margin,
    seeds_and_units_p_value,
    seeds_p_value,
)
from preceptor.measures.jackknife import pseudo_values
from preceptor.measures.measure import AnyMeasure, Paired
from preceptor.report.names import network_name
from preceptor.report.reading.runs import RunRecord
from preceptor.report.reading.samples import answers_of, groups_of
from preceptor.report.reading.studies import CellRecord
from preceptor.runs.predictions import Predictions

NO_VERDICT = "no verdict possible"
NO_DIFFERENCE = "not distinguishable"


@dataclass(frozen=True, slots=True)
class Difference:
    """What may be said of two cells on one network and metric.

    Args:
        against_alone: the second one is the students alone of the first.
        tested: the metric as it is printed.
        seed_differences: first minus second, seed by seed.
        grouping: what a group is, such as ``patient``.
        seed_p: p-value over seeds; 1 where there is one seed.
        both_p: p-value over seeds and samples or groups together.
        margin: half of the 95 % interval of the difference, of that test; None where there is one seed.
        corrected: the largest p-value, corrected for all comparisons of this metric.
        least_corrected: the smallest that any difference could have with so few samples or groups.
        words: a sentence on it.
    """

    first: CellRecord
    second: CellRecord
    network: str
    metric: str
    against_alone: bool
    higher_is_better: bool
    tested: str
    comparison: PairedTest
    seed_differences: tuple[float, ...]
    samples: int
    groups: int | None
    grouping: str | None
    seed_p: float
    both_p: float
    margin: float | None = None
    corrected: float = 1.0
    least_corrected: float = 0.0
    words: str = ""

    @property
    def p_value(self) -> float:
        """The largest, not corrected."""
        return max(self.comparison.p_value, self.seed_p, self.both_p)

    @property
    def least_p(self) -> float:
        """The smallest p-value, not corrected, that any difference could have with so few samples or groups."""
        return least_p_value(self.comparison.units)

    @property
    def is_possible(self) -> bool:
        """Whether there are enough samples or groups for any difference to be claimed."""
        return self.least_corrected <= LEVEL

    @property
    def holds(self) -> bool:
        """Whether it may be claimed."""
        return self.is_possible and self.corrected <= LEVEL

    @property
    def word(self) -> str:
        """``better``, ``worse``, ``not distinguishable`` or ``no verdict possible``."""
        if not self.is_possible:
            return NO_VERDICT
        if not self.holds:
            return NO_DIFFERENCE
        is_higher = bool(np.mean(self.seed_differences) > 0)
        return "better" if is_higher == self.higher_is_better else "worse"


def difference_of_cells(
    first: CellRecord,
    second: CellRecord,
    network: str,
    measure: AnyMeasure,
    resamples: int,
    *,
    against_alone: bool = False,
) -> Difference | None:
    """The paired tests of two cells; None where there is no test, no common seed or no common samples."""
    if measure.paired is None:
        return None
    seeds = [seed for seed in first.runs if seed in second.runs]
    runs = [run for seed in seeds for run in (first.runs[seed], second.runs[seed])]
    answers = [(first.runs[seed].predictions, second.runs[seed].predictions) for seed in seeds]
    pairs = [
        (one, other)
        for one, other in answers
        if one and other and network in one.networks and network in other.networks and _same_samples(one, other)
    ]
    scores = [
        [score for seed in seeds if (score := cell.runs[seed].score(network, measure.key)) is not None]
        for cell in (first, second)
    ]
    if not seeds or min(len(pairs), *map(len, scores)) < len(seeds):
        return None
    test = {"delong": _ranking, "pooled": _pooled}.get(measure.paired.test, _mean)
    found = test(pairs, network, measure, runs, resamples)
    if found is None:
        return None
    comparison, samples, groups = found
    seed_p, both_p, margin = 1.0, 1.0, None
    if len(seeds) > 1:
        seed_p = float(seeds_p_value(scores[0], scores[1]))
        both = (scores[0], scores[1], comparison.variance, comparison.units)
        both_p, margin = float(seeds_and_units_p_value(*both)), float(seeds_and_units_margin(*both))
    return Difference(
        first=first,
        second=second,
        network=network,
        metric=measure.key,
        against_alone=against_alone,
        higher_is_better=measure.higher_is_better,
        tested=measure.paired.label,
        comparison=comparison,
        seed_differences=tuple(one - other for one, other in zip(*scores, strict=True)),
        samples=samples,
        groups=groups,
        grouping=runs[0].grouped_by,
        seed_p=seed_p,
        both_p=both_p,
        margin=margin,
    )


_Pairs = Sequence[tuple[Predictions, Predictions]]
_Tested = tuple[PairedTest, int, int | None]


def _mean(pairs: _Pairs, network: str, measure: AnyMeasure, runs: Sequence[RunRecord], resamples: int) -> _Tested:
    """A mean of samples' scores, each averaged over seeds: accuracy, or the IoU or F1 of images."""
    paired, (ids, places) = _of(measure), _samples(pairs)
    assert paired.values is not None
    sums, counts = np.zeros((2, len(ids))), np.zeros(len(ids))
    for pair, rows in zip(pairs, places, strict=True):
        sums[:, rows] += np.stack([paired.values(answers_of(answer, network)) for answer in pair])
        counts[rows] += 1
    first, second = sums / counts
    groups = groups_of(runs, ids)
    if paired.test == "wilcoxon":
        if groups is not None:  # images of one patient are not independent
            numbers = np.unique(groups, return_inverse=True)[1]
            first, second = (np.bincount(numbers, weights=values) / np.bincount(numbers) for values in (first, second))
        comparison = wilcoxon(first, second)
    elif paired.test == "mcnemar" and len(pairs) == 1 and groups is None:
        comparison = mcnemar(first > 0, second > 0)
    else:
        comparison = paired_permutation(first, second, groups=groups, resamples=resamples)
    return comparison, len(ids), _count(groups)


def _pooled(pairs: _Pairs, network: str, measure: AnyMeasure, runs: Sequence[RunRecord], resamples: int) -> _Tested:
    """A score of all samples' sums, by what each sample or group adds to it, averaged over seeds."""
    ids, places = _samples(pairs)
    groups = groups_of(runs, ids)
    added = []
    for pair, rows in zip(pairs, places, strict=True):
        for answer in pair:
            found = measure.rows(answers_of(answer, network))
            every = np.zeros((len(ids), found.shape[1]))
            every[rows] = found
            added.append(pseudo_values(measure, every, groups))
    first, second = np.mean(added[::2], axis=0), np.mean(added[1::2], axis=0)
    return paired_permutation(first, second, resamples=resamples), len(ids), _count(groups)


def _ranking(
    pairs: _Pairs, network: str, measure: AnyMeasure, runs: Sequence[RunRecord], resamples: int
) -> _Tested | None:
    """DeLong's test; for two classes, and seeds that share their samples."""
    paired, labels, ids = _of(measure), pairs[0][0].labels, [str(name) for name in pairs[0][0].ids]
    alike = all([str(name) for name in one.ids] == ids for one, _ in pairs)
    if labels is None or not alike or pairs[0][0].networks[network].shape[1] != 2:
        return None
    if np.bincount(labels, minlength=2).min() < 2:
        return None
    values = paired.values
    assert values is not None
    groups = groups_of(runs, ids)
    first, second = (
        np.stack([values(answers_of(answer, network)) for answer in side]) for side in zip(*pairs, strict=True)
    )
    return delong(labels == 1, first, second, groups=groups), len(ids), _count(groups)


def _of(measure: AnyMeasure) -> Paired[Any]:
    assert measure.paired is not None
    return measure.paired


def _samples(pairs: _Pairs) -> tuple[list[str], list[list[int]]]:
    """The samples of all seeds, and the place of each seed's among them."""
    ids = list(dict.fromkeys(str(name) for one, _ in pairs for name in one.ids))
    place = {name: row for row, name in enumerate(ids)}
    return ids, [[place[str(name)] for name in one.ids] for one, _ in pairs]


def _count(groups: Sequence[str] | None) -> int | None:
    return None if groups is None else len(set(groups))


def _same_samples(one: Predictions, other: Predictions) -> bool:
    if one.labels is None or other.labels is None:
        return one.labels is other.labels and np.array_equal(one.ids, other.ids)
    return np.array_equal(one.ids, other.ids) and np.array_equal(one.labels, other.labels)


def judged(found: Difference, corrected: float, largest_share: float) -> Difference:
    """With the corrected p-value, the smallest that there could be, and the verdict in words.

    Args:
        largest_share: of the level that a comparison of the family has; without a first claim there is no second.
    """
    least_corrected = found.least_p if found.comparison.test == "DeLong" else found.least_p / largest_share
    done = replace(found, corrected=corrected, least_corrected=least_corrected)
    if done.is_possible:
        words = difference_in_words(
            found.first.title,
            found.second.title,
            metric=f"{found.tested} of {network_name(found.network)}",
            seed_differences=found.seed_differences,
            p_value=corrected,
            samples=found.samples,
            groups=found.groups,
            grouping=found.grouping,
            level=LEVEL,
            higher_is_better=found.higher_is_better,
        )
    else:
        what = "samples" if found.groups is None else units_of(found.grouping)
        gap = 100 * float(np.mean(found.seed_differences))
        words = (
            f"{found.first.title} and {found.second.title}: no verdict is possible with {found.comparison.units} "
            f"{what}: {found.tested} of {network_name(found.network)} {gap:+.2f} points, but the smallest p-value that "
            f"there could be, corrected, is {min(1.0, least_corrected):.2g}."
        )
    return replace(done, words=words)
