"""Mean ± deviation over seeds, intervals over patients, and which differences hold.

How several seeds enter a paired test: for every test sample, a method's score is averaged over the seeds
that both methods have, and the averages are compared. That speaks of the samples (would other patients
say the same?) but takes the trained networks as given. Whether other seeds would say the same is asked
separately: a difference is claimed only where every seed, compared with the same seed of the other
method, points the same way. Three seeds that agree are weak evidence of the second kind, so the spread
over seeds always stands beside the p-value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from preceptor.measures import (
    Comparison,
    Interval,
    Spread,
    auroc,
    delong,
    holm,
    is_distinguishable,
    mcnemar,
    paired_permutation,
    percentile_interval,
    resampled_sums,
    spread,
    verdict,
    wilcoxon,
)
from preceptor.measures.arrays import Float64
from preceptor.report.runs import Predictions, Run
from preceptor.report.samples import groups_of, mean_over_seeds, per_sample, stacked, summed
from preceptor.report.studies import Cell, Study

LEVEL = 0.05
_RESAMPLES = 10_000
LOWER_IS_BETTER = ("ece", "fidelity.kl")
_COLUMNS_AT_ONCE = 400


@dataclass(frozen=True, slots=True)
class Difference:
    """What may be said of two cells on one network and metric.

    Args:
        tested: the mean over samples that the test compares, such as IoU per image for IoU.
        seed_differences: first minus second, seed by seed, in ``tested``.
        corrected: the p-value, corrected for all comparisons of this metric.
        holds: the corrected test holds, and every seed points the same way, in the metric itself too.
        words: a sentence on it.
    """

    first: Cell
    second: Cell
    network: str
    metric: str
    tested: str
    comparison: Comparison
    seed_differences: tuple[float, ...]
    samples: int
    groups: int | None
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
        return "better" if np.mean(self.seed_differences) > 0 else "worse"


_Addends = tuple[int, str, Float64, int]
"""Place of a cell, network, columns of every seed, number of seeds."""


class Statistics:
    """Everything computed from a study's runs, once.

    Args:
        resamples: of the bootstrap.
    """

    def __init__(self, study: Study, *, resamples: int = 2000) -> None:
        self.study = study
        self._resamples = resamples

    def spread(self, cell: Cell, network: str, metric: str) -> Spread | None:
        """Mean ± sample standard deviation over the finished seeds; None where none has this score.

        One frozen teacher for all seeds has no spread over them.
        """
        values = [score for run in cell.runs.values() if (score := run.score(network, metric)) is not None]
        if network == "T" and len(set(values)) == 1:
            values = values[:1]
        return spread(values) if values else None

    @cached_property
    def intervals(self) -> dict[tuple[int, str, str], Interval]:
        """95 % interval of a mean over seeds, by place of the cell, network and metric of the layout.

        Whole groups are drawn where they are known. All cells on the same samples are resampled together.
        """
        batches: dict[tuple[str, tuple[str, ...], tuple[str, ...] | None], list[_Addends]] = {}
        for metric in dict.fromkeys((self.study.metric, *self.study.layout.metrics)):
            for place, cell in enumerate(self.study.cells):
                for network in self.study.layout.networks if cell.runs else ():
                    found = stacked(cell.runs, network, metric)
                    if found is not None:
                        ids, columns, seeds = found
                        groups = groups_of(list(cell.runs.values()), ids)
                        key = (metric, tuple(ids), None if groups is None else tuple(groups))
                        batches.setdefault(key, []).append((place, network, columns, seeds))
        return {
            (place, network, metric): interval
            for (metric, _, groups), entries in batches.items()
            for chunk in _chunks(entries)
            for place, network, interval in self._resampled(metric, groups, chunk)
        }

    def _resampled(
        self, metric: str, groups: Sequence[str] | None, entries: Sequence[_Addends]
    ) -> list[tuple[int, str, Interval]]:
        found = summed(self.study.task, metric)
        assert found is not None
        columns = np.concatenate([entry[2] for entry in entries], axis=1)
        whole, sums, units = resampled_sums(columns, groups=groups, resamples=self._resamples)
        answers, start = [], 0
        for place, network, own, seeds in entries:
            mine = slice(start, start := start + own.shape[1])
            point = float(mean_over_seeds(found.statistic, whole[None, mine], seeds)[0])
            values = mean_over_seeds(found.statistic, sums[:, mine], seeds)
            answers.append((place, network, percentile_interval(point, values, units)))
        return answers

    def interval(self, cell: Cell, network: str, metric: str) -> Interval | None:
        """The interval of a metric of the layout; None for one that is no function of sums (AUROC, ECE)."""
        return self.intervals.get((self.study.cells.index(cell), network, metric))

    # Comparisons -------------------------------------------------------------------------------------------------

    def baseline_of(self, cell: Cell) -> Cell | None:
        """The finished students alone with the cell's data, split, training and first student; None without any.

        Of several, those that share most axes and as many students.
        """
        run = next(iter(cell.runs.values()), None)
        if cell.kind == "teacher" or run is None:
            return None
        fitting = [
            (sum(cell.labels.get(axis) == label for axis, label in base.labels.items()), other.peers == run.peers, base)
            for base in self.study.cells
            if base.kind == "baseline"
            and (other := next(iter(base.runs.values()), None))
            and other.budget == run.budget
            and base.agrees_with(cell.labels)
        ]
        return max(fitting, key=lambda found: found[:2], default=(0, False, None))[2]

    def best(self, network: str, metric: str) -> Cell | None:
        """The cell with the highest mean, teachers apart."""
        means = {
            place: found.mean
            for place, cell in enumerate(self.study.cells)
            if cell.kind != "teacher" and (found := self.spread(cell, network, metric))
        }
        if len(means) < 2 or metric in LOWER_IS_BETTER:
            return None
        return self.study.cells[max(means, key=lambda place: means[place])]

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Every cell against its baseline, and the best of each network against every other.

        The p-values of a metric are corrected together (Holm), over all networks. That the best is chosen by
        the same samples needs no further correction: it is called best only where it differs from every other
        one (Gutmann & Maymin 1987, "Is the selected population the best?").
        """
        done: list[Difference] = []
        for metric in self.study.tested:
            networks = [network for network in self.study.layout.networks if network != "T"]
            pairs = [(*pair, network) for network in networks for pair in self._pairs(network, metric)]
            resamples = max(_RESAMPLES, 2 * round(len(pairs) / LEVEL))  # else no corrected p-value could be small
            family = [
                found
                for first, second, network in pairs
                if (found := _compare(first, second, network, metric, self.study.task, resamples))
            ]
            corrected = holm([found.comparison.p_value for found in family]) if family else []
            done += [_judged(found, p_value) for found, p_value in zip(family, corrected, strict=True)]
        return tuple(done)

    def _pairs(self, network: str, metric: str) -> list[tuple[Cell, Cell]]:
        cells = [cell for cell in self.study.cells if cell.kind != "teacher" and self.spread(cell, network, metric)]
        pairs = [(cell, base) for cell in cells if cell.kind == "run" and (base := self.baseline_of(cell))]
        if best := self.best(network, metric):
            met = [pair for pair in pairs if best in pair]
            pairs += [(best, c) for c in cells if c is not best and (best, c) not in met and (c, best) not in met]
        return pairs

    def against_baseline(self, cell: Cell, network: str, metric: str) -> Difference | None:
        """The comparison with the students alone, if it could be made."""
        base = self.baseline_of(cell)
        return self._difference(cell, base, network, metric) if base else None

    def is_best(self, cell: Cell, network: str, metric: str) -> bool:
        """Whether the cell has the highest mean and differs from every other one."""
        if cell is not self.best(network, metric):
            return False
        others = [c for c in self.study.cells if c.kind != "teacher" and c is not cell]
        found = [self._difference(cell, c, network, metric) for c in others if self.spread(c, network, metric)]
        return all(d is not None and d.word == ("better" if d.first is cell else "worse") for d in found)

    def _difference(self, one: Cell, other: Cell, network: str, metric: str) -> Difference | None:
        """The comparison of two cells, in whichever order it was made."""
        return self._by_pair.get((frozenset((id(one), id(other))), network, metric))

    @cached_property
    def _by_pair(self) -> dict[tuple[frozenset[int], str, str], Difference]:
        return {(frozenset((id(d.first), id(d.second))), d.network, d.metric): d for d in self.differences}


def _chunks(entries: list[_Addends]) -> list[list[_Addends]]:
    """So many at once that the memory stays small."""
    size = max(1, _COLUMNS_AT_ONCE // max(entry[2].shape[1] for entry in entries))
    return [entries[start : start + size] for start in range(0, len(entries), size)]


def _compare(first: Cell, second: Cell, network: str, metric: str, task: str, resamples: int) -> Difference | None:
    """The paired test of two cells; None where there is no test, no common seed or no common samples."""
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
    if task == "classification" and metric == "auroc":
        found = _auroc(pairs, network, runs)
    else:
        found = _mean(pairs, network, metric, task, runs, resamples)
    if found is None:
        return None
    tested, comparison, differences, samples, groups = found
    agrees = len(of_metric) == len(seeds) and is_distinguishable(of_metric, 0.0)
    return Difference(
        first=first,
        second=second,
        network=network,
        metric=metric,
        tested=tested,
        comparison=comparison,
        seed_differences=tuple(differences),
        samples=samples,
        groups=groups,
        corrected=comparison.p_value,
        holds=agrees and np.sign(of_metric[0]) == np.sign(differences[0]) == np.sign(comparison.difference),
        words="",
    )


_Tested = tuple[str, Comparison, list[float], int, int | None]


def _mean(
    pairs: Sequence[tuple[Predictions, Predictions]],
    network: str,
    metric: str,
    task: str,
    runs: Sequence[Run],
    resamples: int,
) -> _Tested | None:
    """A score of single samples, averaged over seeds: accuracy, or the IoU or F1 of images."""
    scored = per_sample(task, metric)
    if scored is None:
        return None
    tested, score = scored
    ids = list(dict.fromkeys(str(name) for one, _ in pairs for name in one.ids))
    place = {name: row for row, name in enumerate(ids)}
    sums, counts, differences = np.zeros((2, len(ids))), np.zeros(len(ids)), []
    for pair in pairs:
        rows = [place[str(name)] for name in pair[0].ids]
        both = np.stack([score(answer, network) for answer in pair])
        sums[:, rows] += both
        counts[rows] += 1
        differences.append(float(both[0].mean() - both[1].mean()))
    first, second = sums / counts
    groups = groups_of(runs, ids)
    known = None if groups is None else len(set(groups))
    if task == "segmentation":
        if groups is not None:  # images of one patient are not independent
            numbers = np.unique(groups, return_inverse=True)[1]
            first, second = (np.bincount(numbers, weights=values) / np.bincount(numbers) for values in (first, second))
        comparison = wilcoxon(first, second)
    elif len(pairs) == 1 and groups is None:
        comparison = mcnemar(first > 0, second > 0)
    else:
        comparison = paired_permutation(first, second, groups=groups, resamples=resamples)
    return tested, comparison, differences, len(ids), known


def _auroc(pairs: Sequence[tuple[Predictions, Predictions]], network: str, runs: Sequence[Run]) -> _Tested | None:
    """DeLong's test; for two classes, and seeds that share their samples."""
    labels, ids = pairs[0][0].labels, [str(name) for name in pairs[0][0].ids]
    chances = [[answer.networks[network] for answer in side] for side in zip(*pairs, strict=True)]
    alike = all([str(name) for name in one.ids] == ids for one, _ in pairs)
    if labels is None or not alike or chances[0][0].shape[1] != 2 or np.bincount(labels, minlength=2).min() < 2:
        return None
    groups = groups_of(runs, ids)
    first, second = (np.stack([values[:, 1] for values in side]) for side in chances)
    areas = [[auroc(values, labels) or 0.0 for values in side] for side in chances]
    differences = [a - b for a, b in zip(*areas, strict=True)]
    comparison = delong(labels == 1, first, second, groups=groups)
    return "AUROC", comparison, differences, len(ids), None if groups is None else len(set(groups))


def _same_samples(one: Predictions, other: Predictions) -> bool:
    if one.labels is None or other.labels is None:
        return one.labels is other.labels and np.array_equal(one.ids, other.ids)
    return np.array_equal(one.ids, other.ids) and np.array_equal(one.labels, other.labels)


def _judged(found: Difference, corrected: float) -> Difference:
    """With the corrected p-value and the verdict in words."""
    holds = found.holds and is_distinguishable(found.seed_differences, corrected, level=LEVEL)
    words = verdict(
        found.first.title,
        found.second.title,
        metric=f"{found.tested} of {found.network}",
        seed_differences=found.seed_differences,
        p_value=corrected,
        samples=found.samples,
        groups=found.groups,
        level=LEVEL,
    )
    if not holds and is_distinguishable(found.seed_differences, corrected, level=LEVEL):
        words = (
            f"{found.first.title} and {found.second.title}: not distinguishable: {found.tested} and {found.metric} "
            f"of {found.network} do not point the same way in every seed."
        )
    return replace(found, corrected=corrected, holds=holds, words=words)
