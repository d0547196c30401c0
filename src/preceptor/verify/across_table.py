"""Methods over the data sets of several studies: means, ranks, interquartile means, which differ."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy import stats

from preceptor.verify.answers import Array, UnknownError
from preceptor.verify.cell import Cell, Place, known
from preceptor.verify.numbers import Number, Numbers
from preceptor.verify.paired import corrected
from preceptor.verify.written import Written, rows_of

NAME = "across-ranks"

_LEVEL = 0.05
_RESAMPLES = 2000


def across(each: Sequence[Written], folder: Path) -> list[Cell]:
    """The numbers of the table over all data sets; none where there is no such table."""
    rows = rows_of(folder / f"{NAME}.csv")
    if not rows or len(rows) < 2:
        return []
    return known(Place(NAME, "all methods", "every number"), "", _cells, each, rows)


def _cells(each: Sequence[Written], rows: list[list[str]]) -> Iterator[Cell]:
    heads, methods = rows[0], [row[0] for row in rows[1:]]
    sets = heads[5:-1]  # after rank, interquartile mean and its ends
    scores = [_scores(each, head, methods) for head in sets]  # by data set, method and seed
    means = np.array([[np.mean(seeds) for seeds in of_set] for of_set in scores])
    ranks = stats.rankdata(-means, axis=1).mean(axis=0)
    differing = _differing(means)
    for m, row in enumerate(rows[1:]):
        values = [ranks[m], *_middle(scores, m), *100 * means[:, m]]
        for head, cell, value in zip(heads[1:], row[1:], values, strict=False):
            yield Place(NAME, row[0], head).number(cell, Number(float(value)))
        others = {methods[n] for n in range(len(methods)) if frozenset((n, m)) in differing}
        said = set(filter(None, row[-1].split(", ")))
        yield Place(NAME, row[0], heads[-1]).exact(", ".join(sorted(said)), ", ".join(sorted(others)))


def _scores(each: Sequence[Written], head: str, methods: Sequence[str]) -> list[list[float]]:
    found = [one for one in each if head.startswith(f"{one.title} · {one.names[one.metric]} of ")]
    if len(found) != 1:
        raise UnknownError("studies of one title cannot be told apart")
    numbers = Numbers(found[0])
    return [numbers.values(found[0].method(title), found[0].network, found[0].metric) for title in methods]


def _middle(scores: Sequence[Sequence[Sequence[float]]], m: int) -> list[float]:
    """The mean of the middle half of a method's normalised scores, and the ends of its interval."""
    of_sets = []
    for of_set in scores:
        means = [float(np.mean(seeds)) for seeds in of_set]
        width = max(means) - min(means)
        of_sets.append((np.array(of_set[m]) - min(means)) / width if width else np.full(len(of_set[m]), 0.5))
    generator = np.random.default_rng(0)
    drawn = [one[generator.integers(len(one), size=(_RESAMPLES, len(one)))] for one in of_sets]
    again = [_half(row) for row in np.concatenate(drawn, axis=1)]
    return [_half(np.concatenate(of_sets)), *map(float, np.quantile(again, [0.025, 0.975]))]


def _half(values: Array) -> float:
    cut = len(values) // 4
    return float(np.sort(values)[cut : len(values) - cut].mean())


def _differing(means: Array) -> set[frozenset[int]]:
    """Pairs that Wilcoxon's test tells apart, after Holm's correction and where Friedman's says that some differ."""
    pairs = list(combinations(range(means.shape[1]), 2))
    if 2.0 ** (1 - len(means)) * len(pairs) > _LEVEL or _friedman(means) > _LEVEL:
        return set()
    gaps = [means[:, one] - means[:, other] for one, other in pairs]
    p_values = [float(stats.wilcoxon(gap).pvalue) if gap.any() else 1.0 for gap in gaps]
    right = corrected(p_values, [1 / len(pairs)] * len(pairs))
    return {frozenset(pair) for pair, p_value in zip(pairs, right, strict=True) if p_value <= _LEVEL}


def _friedman(means: Array) -> float:
    if means.shape[1] > 2:
        return float(np.nan_to_num(stats.friedmanchisquare(*means.T).pvalue, nan=1.0))
    lead, count = float(np.sign(means[:, 0] - means[:, 1]).sum()), int((means[:, 0] != means[:, 1]).sum())
    return float(stats.chi2.sf(lead**2 / max(1, count), df=1))
