"""Do images of one part, or of one hospital, look unlike the others?

A standardised mean difference says how far two sets of images are apart, in standard deviations of single images. It is
called a drift where it is large and not chance: images of one group are alike, so that groups, not images, are counted.
"""

from collections.abc import Sequence
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
"""Groups below which no single one is named: there is nothing to say how far groups are apart."""


def standardised_difference(first: Float64, second: Float64) -> float:
    """Mean of the first minus that of the second, over the mean variance's root; 0 where neither varies."""
    spread = np.sqrt((first.var() + second.var()) / 2)
    return float((first.mean() - second.mean()) / spread) if spread > 0 else 0.0


def group_means(values: Float64, groups: Sequence[object]) -> Float64:
    """(G,) in the order in which groups appear."""
    places = _places(groups)
    found: Float64 = np.bincount(places, weights=values) / np.bincount(places)
    return found


def part_p_value(first: Float64, second: Float64) -> float:
    """Welch's test of the means of two parts' groups (or images, where no groups are known); 1 for a single one."""
    if min(len(first), len(second)) < 2:
        return 1.0
    if first.std() == 0 and second.std() == 0:
        return float(first[0] == second[0])
    return float(_stats().ttest_ind(first, second, equal_var=False).pvalue)


def group_p_values(means: Float64) -> Float64:
    """(G,) p-value of each group's mean against the others': could it be one more of them?

    Student's t of what was left out against the mean and the deviation of all others, with G - 2 degrees of freedom,
    as for one more observation. 1 for fewer than :data:`FEWEST` groups.
    """
    count = len(means)
    if count < FEWEST:
        return np.ones(count)
    found = np.ones(count)
    for place in range(count):
        others = np.delete(means, place)
        error, gap = others.std(ddof=1) * np.sqrt(1 + 1 / len(others)), abs(means[place] - others.mean())
        found[place] = 2 * _stats().t.sf(gap / error, df=count - 2) if error > 0 else float(gap == 0)
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
