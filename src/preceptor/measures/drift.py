"""Do images of one part, of one site or of one patient look unlike the others?

A standardised mean difference says how far two sets of images are apart, in standard deviations of single images. It is
called a drift where it is large and not chance: images of one group are alike, so that groups, not images, are counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from preceptor.measures.arrays import Flags, Float64, Int64

LEVEL = 0.05
"""How often anything is named, over all parts, or all groups, and all looks, where nothing differs."""

LARGE = 0.2
"""Standardised difference of two parts from which on it is named (Cohen's small effect)."""

LARGE_OF_GROUP = 0.5
"""The same of a group and all others (Cohen's medium effect)."""

FEWEST = 4
"""Groups below which nothing is named: there is nothing to say how far groups are apart."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """Some images against others.

    Args:
        name: of the part, site or group.
        images: how many are in it.
        differences: (L,) standardised mean differences, one for each look.
        named: (L,) which of them are large and no chance.
    """

    name: str
    images: int
    differences: Float64
    named: Flags

    @property
    def farthest(self) -> float:
        """The largest difference, without its sign."""
        return float(np.abs(self.differences).max())


def parts_against_training(
    looks: Float64, parts: Sequence[object], groups: Sequence[object] | None = None
) -> list[Contrast]:
    """The validation and the test part, where there are images of it.

    Args:
        looks: (N, L) numbers of images.
        parts: (N,) the part of each, ``train``, ``validation`` or ``test``.
        groups: (N,) of each, whose means are compared then; images by themselves without.
    """
    inside = {part: _rows_of(parts, part) for part in ("train", "validation", "test")}
    shown = [part for part in ("validation", "test") if len(inside[part])]
    if not shown or not len(inside["train"]):
        return []
    pairs = [(part, inside[part], inside["train"]) for part in shown]
    return _contrasts(looks, pairs, groups)


def sites_against_others(
    looks: Float64, sites: Sequence[object], groups: Sequence[object] | None = None
) -> list[Contrast]:
    """Each site against all others, the farthest first; arguments as for :func:`parts_against_training`.

    Images whose site is None are not compared.
    """
    names = [name for name in dict.fromkeys(sites) if name is not None]
    if len(names) < 2:
        return []
    every = np.array([row for row, name in enumerate(sites) if name is not None])
    inside = {name: _rows_of(sites, name) for name in names}
    pairs = [(str(name), rows, np.setdiff1d(every, rows)) for name, rows in inside.items()]
    return sorted(_contrasts(looks, pairs, groups), key=lambda one: (-one.farthest, one.name))


def odd_groups(looks: Float64, groups: Sequence[object]) -> list[Contrast]:
    """Groups that look unlike all others, the farthest first."""
    names, places = list(dict.fromkeys(groups)), _places(groups)
    differences = np.zeros((len(names), looks.shape[1]))
    p_values = np.ones_like(differences)
    for column in range(looks.shape[1]):
        values = looks[:, column]
        p_values[:, column] = group_p_values(group_means(values, groups))
        for row in range(len(names)):
            mine = places == row
            differences[row, column] = 0.0 if mine.all() else standardised_difference(values[mine], values[~mine])
    named = named_groups(differences, p_values)
    counts = np.bincount(places, minlength=len(names))
    found = [
        Contrast(str(name), int(counts[row]), differences[row], named[row])
        for row, name in enumerate(names)
        if named[row].any()
    ]
    return sorted(found, key=lambda one: -one.farthest)


def _contrasts(
    looks: Float64, pairs: Sequence[tuple[str, Int64, Int64]], groups: Sequence[object] | None
) -> list[Contrast]:
    """Each of (name, its rows, the rows that it is held against)."""
    differences = np.zeros((len(pairs), looks.shape[1]))
    p_values = np.ones_like(differences)
    places = None if groups is None else _places(groups)
    for row, (_, mine, theirs) in enumerate(pairs):
        for column in range(looks.shape[1]):
            first, second = (looks[rows, column] for rows in (mine, theirs))
            differences[row, column] = standardised_difference(first, second)
            if places is not None:
                first, second = (_means(looks[rows, column], places[rows]) for rows in (mine, theirs))
            p_values[row, column] = p_value(first, second)
    named = named_parts(differences, p_values)
    return [Contrast(name, len(mine), differences[row], named[row]) for row, (name, mine, _) in enumerate(pairs)]


def _rows_of(names: Sequence[object], name: object) -> Int64:
    return np.array([row for row, one in enumerate(names) if one == name], dtype=np.int64)


def standardised_difference(first: Float64, second: Float64) -> float:
    """Mean of the first minus that of the second, over the mean variance's root; 0 where neither varies."""
    spread = np.sqrt((first.var() + second.var()) / 2)
    return float((first.mean() - second.mean()) / spread) if spread > 0 else 0.0


def group_means(values: Float64, groups: Sequence[object]) -> Float64:
    """(G,) in the order in which groups appear."""
    return _means(values, _places(groups))


def _means(values: Float64, places: Int64) -> Float64:
    """Mean of the values at each place that has some, in their order."""
    counts = np.bincount(places)
    sums = np.bincount(places, weights=values)
    found: Float64 = sums[counts > 0] / counts[counts > 0]
    return found


def p_value(first: Float64, second: Float64) -> float:
    """Student's test of the means of two sets of groups (of images, where no groups are known); one may be just one.

    What is asked is whether anything differs; so both have one deviation where nothing does. Welch's test, which takes
    each set's own, names parts of two groups ninety times too often. 1 for fewer than :data:`FEWEST` in all.
    """
    count = len(first) + len(second)
    if count < FEWEST or not len(first) or not len(second):
        return 1.0
    squares = float(((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum())
    gap = abs(float(first.mean() - second.mean()))
    error = np.sqrt(squares / (count - 2) * (1 / len(first) + 1 / len(second)))
    return float(2 * _stats().t.sf(gap / error, df=count - 2)) if error > 0 else float(gap == 0)


def group_p_values(means: Float64) -> Float64:
    """(G,) p-value of each group's mean against the others': could it be one more of them?"""
    count = len(means)
    if count < FEWEST:
        return np.ones(count)
    centred = means - means.mean()
    of_others = -centred / (count - 1)
    squares = np.maximum((centred**2).sum() - centred**2 - (count - 1) * of_others**2, 0)
    error = np.sqrt(squares / (count - 2) * (1 + 1 / (count - 1)))
    gap = np.abs(centred - of_others)
    t = np.divide(gap, error, out=np.where(gap > 0, np.inf, 0.0), where=error > 0)
    found: Float64 = 2 * _stats().t.sf(t, df=count - 2)
    return found


def named_parts(differences: Float64, p_values: Float64) -> Flags:
    """Which differences of parts (parts, looks) are large and no chance: Bonferroni over all of them."""
    return (np.abs(differences) >= LARGE) & (p_values * p_values.size <= LEVEL)


def named_groups(differences: Float64, p_values: Float64) -> Flags:
    """The same of groups against all others."""
    return (np.abs(differences) >= LARGE_OF_GROUP) & (p_values * p_values.size <= LEVEL)


def _places(groups: Sequence[object]) -> Int64:
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return np.array([numbers[group] for group in groups])


def _stats() -> Any:
    """SciPy's distributions, which take most of a second to import."""
    from scipy import stats

    return stats
