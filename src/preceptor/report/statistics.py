"""Mean ± deviation over seeds, intervals over patients, and which differences hold."""

import math
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from preceptor.measures import (
    Interval,
    Resampler,
    Spread,
    basic_interval,
    percentile_interval,
    spread,
)
from preceptor.measures.claims import corrected, pairs_to_compare, resamples_for, shares_of_level
from preceptor.report.comparison import Difference, difference_of_cells, judged
from preceptor.report.reading.runs import CHOSEN
from preceptor.report.reading.samples import Blocks, groups_of, stacked
from preceptor.report.reading.studies import CellRecord, StudyRecord

_Entry = tuple[int, str, list[Blocks]]
"""Place of a cell, network, addends of every seed."""


class Statistics:
    """Everything computed from a study's runs, once.

    Args:
        resamples: of the bootstrap.
    """

    def __init__(self, study: StudyRecord, *, resamples: int = 2000) -> None:
        self.study = study
        self._resamples = resamples

    def spread(self, cell: CellRecord, network: str, metric: str) -> Spread | None:
        """Mean ± sample standard deviation over the finished seeds; None where none has this score.

        One frozen teacher for all seeds has no spread over them.
        """
        values = [score for run in cell.runs.values() if (score := run.score(network, metric)) is not None]
        if network == "T" and len({run.teacher for run in cell.runs.values()} - {None}) == 1:
            values = values[:1]
        return spread(values) if values else None

    @cached_property
    def intervals(self) -> dict[tuple[int, str, str], Interval]:
        """95 % interval of a mean over seeds, by place of the cell, network and metric.

        Whole groups are drawn where they are known. All cells on the same samples are resampled together.
        """
        batches: dict[tuple[tuple[str, ...], tuple[str, ...] | None], list[_Entry]] = {}
        for place, cell in enumerate(self.study.cells):
            tested = [name for run in cell.runs.values() for name in run.test]
            tested += [CHOSEN] if self.study.network == CHOSEN and cell.kind != "teacher" and cell.runs else []
            for network in dict.fromkeys(tested):
                found = stacked(cell.runs, network, self.study.measures)
                if found is not None:
                    ids, seeds = found
                    groups = groups_of(list(cell.runs.values()), ids)
                    key = (tuple(ids), None if groups is None else tuple(groups))
                    batches.setdefault(key, []).append((place, network, seeds))
        return {
            (place, network, metric): interval
            for (_, groups), entries in batches.items()
            for place, network, metric, interval in self._resampled(groups, entries)
        }

    def _resampled(
        self, groups: Sequence[str] | None, entries: Sequence[_Entry]
    ) -> Iterator[tuple[int, str, str, Interval]]:
        size = len(next(iter(entries[0][2][0].values())))
        resampler = Resampler(size, groups=groups, resamples=self._resamples)
        for place, network, seeds in entries:
            drawn = _sums(resampler, seeds)
            for metric, measure in self.study.measures.items():
                addends = measure.addends
                if addends is None or not all(addends in sums for sums in drawn):
                    continue
                if any(run.score(network, metric) is None for run in self.study.cells[place].runs.values()):
                    continue
                point = float(np.mean([measure.finished(sums[addends][:1]) for sums in drawn]))  # all samples
                again = np.mean([measure.resampled(sums[addends][1:]) for sums in drawn], axis=0)
                form = basic_interval if measure.grows_with_noise else percentile_interval
                yield place, network, metric, form(point, again[~np.isnan(again)], resampler.units)

    def interval(self, cell: CellRecord, network: str, metric: str) -> Interval | None:
        """The interval of a score; None for one that is not known of each sample."""
        return self.intervals.get((self.study.cells.index(cell), network, metric))

    # Comparisons -------------------------------------------------------------------------------------------------

    def baseline_of(self, cell: CellRecord) -> CellRecord | None:
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

    def best(self, network: str, metric: str) -> CellRecord | None:
        """The cell with the best mean, teachers apart."""
        means = {
            place: found.mean
            for place, cell in enumerate(self.study.cells)
            if cell.kind != "teacher" and (found := self.spread(cell, network, metric))
        }
        if len(means) < 2:
            return None
        sign = 1 if self.study.higher_is_better(metric) else -1
        return self.study.cells[max(means, key=lambda place: sign * means[place])]

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Every cell against its baseline, and the best of each network against every other.

        The p-values of a metric are corrected together, over all networks: half of the level is that of the
        comparisons with students alone, the other half that of all other pairs, of which the best's are shown.
        """
        done: list[Difference] = []
        for metric in self.study.tested:
            measure = self.study.measures.get(metric)
            if measure is None or measure.paired is None:
                continue
            networks = [network for network in self.study.networks if network != "T"]
            listed = [(*pair, network) for network in networks for pair in self._pairs(network, metric)]
            every = sum(math.comb(len(self._compared(network, metric)), 2) for network in networks)
            resamples = resamples_for(shares_of_level(np.array([alone for *_, alone, _ in listed], dtype=bool), every))
            family = [
                found
                for first, second, alone, network in listed
                if (found := difference_of_cells(first, second, network, measure, resamples, against_alone=alone))
            ]
            if family:
                shares = shares_of_level(np.array([one.against_alone for one in family]), every)
                p_values = corrected([one.p_value for one in family], shares)
                done += [
                    judged(found, float(p_value), float(shares.max()))
                    for found, p_value in zip(family, p_values, strict=True)
                ]
        return tuple(done)

    def _compared(self, network: str, metric: str) -> list[CellRecord]:
        return [cell for cell in self.study.cells if cell.kind != "teacher" and self.spread(cell, network, metric)]

    def _pairs(self, network: str, metric: str) -> list[tuple[CellRecord, CellRecord, bool]]:
        """First, second, whether that is the first's students alone."""
        cells = self._compared(network, metric)
        sign = 1 if self.study.higher_is_better(metric) else -1
        means = [sign * found.mean for cell in cells if (found := self.spread(cell, network, metric))]
        bases = [self.baseline_of(cell) if cell.kind == "run" else None for cell in cells]
        alone = [next((n for n, cell in enumerate(cells) if cell is base), None) for base in bases]
        return [(cells[first], cells[second], is_alone) for first, second, is_alone in pairs_to_compare(means, alone)]

    def against_baseline(self, cell: CellRecord, network: str, metric: str) -> Difference | None:
        """The comparison with the students alone, if it could be made."""
        base = self.baseline_of(cell)
        return self._difference(cell, base, network, metric) if base else None

    def is_best(self, cell: CellRecord, network: str, metric: str) -> bool:
        """Whether the cell has the best mean and differs from every other one."""
        if cell is not self.best(network, metric):
            return False
        others = [c for c in self.study.cells if c.kind != "teacher" and c is not cell]
        found = [self._difference(cell, c, network, metric) for c in others if self.spread(c, network, metric)]
        return all(d is not None and d.word == ("better" if d.first is cell else "worse") for d in found)

    def _difference(self, one: CellRecord, other: CellRecord, network: str, metric: str) -> Difference | None:
        """The comparison of two cells, in whichever order it was made."""
        return self._by_pair.get((frozenset((id(one), id(other))), network, metric))

    @cached_property
    def _by_pair(self) -> dict[tuple[frozenset[int], str, str], Difference]:
        return {(frozenset((id(d.first), id(d.second))), d.network, d.metric): d for d in self.differences}


def _sums(resampler: Resampler, seeds: Sequence[Blocks]) -> list[Blocks]:
    """(1 + B, M) sums of each block of each seed: of all samples, and of each resample."""
    blocks = [values for seed in seeds for values in seed.values()]
    sums = np.concatenate(resampler.sums(np.concatenate(blocks, axis=1)))
    ends = np.cumsum([values.shape[1] for values in blocks])
    parts = iter(np.split(sums, ends[:-1], axis=1))
    return [{name: next(parts) for name in seed} for seed in seeds]
