"""Which of many differences may be claimed; the error rates themselves: benchmarks/false_claims.py."""

import numpy as np
import pytest
from scipy import stats

from preceptor.measures import holm
from preceptor.measures.claims import (
    corrected,
    least_p_value,
    pairs_to_compare,
    seeds_and_units_margin,
    seeds_and_units_p_value,
    seeds_p_value,
    shares_of_level,
)


def test_seeds_are_welchs_test():
    first, second = [0.71, 0.74, 0.75], [0.64, 0.66, 0.71]
    expected = stats.ttest_ind(first, second, equal_var=False).pvalue
    assert seeds_p_value(first, second) == pytest.approx(expected)
    assert seeds_p_value([first, first], [second, first]) == pytest.approx([expected, 1.0])
    assert seeds_p_value([0.7, 0.7], [0.7, 0.7]) == 1.0
    assert seeds_p_value([0.7, 0.7], [0.6, 0.6]) == 0.0


def test_seeds_and_units_add_their_variances():
    first, second, units = np.array([0.71, 0.74, 0.75]), np.array([0.64, 0.66, 0.71]), 12
    parts = np.array([first.var(ddof=1) / 3, second.var(ddof=1) / 3, 0.02**2])
    free = parts.sum() ** 2 / (parts**2 / [2, 2, 11]).sum()
    expected = 2 * stats.t.sf((first.mean() - second.mean()) / parts.sum() ** 0.5, df=free)
    assert seeds_and_units_p_value(first, second, 0.02**2, units) == pytest.approx(expected)
    assert seeds_and_units_p_value(first, second, 0.0, units) == pytest.approx(seeds_p_value(first, second))


def test_the_interval_ends_at_zero_where_the_p_value_is_that_of_the_level():
    first, second = np.array([0.71, 0.74, 0.75]), np.array([0.64, 0.66, 0.71])
    margin = float(seeds_and_units_margin(first, second, 0.02**2, 12))
    moved = second + (first - second).mean() - margin
    assert seeds_and_units_p_value(first, moved, 0.02**2, 12) == pytest.approx(0.05)
    assert seeds_and_units_margin([0.7, 0.7], [0.6, 0.6], 0.0, 12) == 0.0


def test_luck_of_seeds_and_patients_together_is_seldom_called_a_difference():
    """Each alone would leave a difference unexplained in one table of seven."""
    generator = np.random.default_rng(1)
    patients = generator.normal(size=(4000, 2, 1, 30)) * 5**0.5  # variance of a mean over 30: that of one over 6 seeds
    seeds = generator.normal(size=(4000, 2, 6, 1))
    scores = patients + seeds
    first, second = scores.mean(axis=3).swapaxes(0, 1)
    gaps = scores.mean(axis=2)[:, 0] - scores.mean(axis=2)[:, 1]
    alone = seeds_p_value(first, second)
    both = seeds_and_units_p_value(first, second, gaps.var(axis=1, ddof=1) / 30, 30)
    assert np.mean(alone <= 0.05) > 0.12
    assert 0.03 < np.mean(both <= 0.05) < 0.06


def test_half_of_the_level_is_for_comparisons_with_students_alone():
    against_alone = np.array([True, True, False, False, False])
    shares = shares_of_level(against_alone, pairs=10)
    assert shares == pytest.approx([0.25, 0.25, 1 / 16, 1 / 16, 1 / 16]), "eight other pairs, of which three are shown"
    assert shares_of_level(np.array([True]), pairs=1) == pytest.approx([1.0])
    assert shares_of_level(np.array([False, False]), pairs=3) == pytest.approx([1 / 3, 1 / 3])


def test_corrected_is_holm_for_equal_shares_and_never_passes_on_what_no_comparison_has():
    p_values = [0.01, 0.04, 0.03, 0.005]
    assert corrected(p_values, [0.25] * 4) == pytest.approx(holm(p_values))
    assert corrected([p_values, p_values[::-1]], [0.25] * 4) == pytest.approx(
        np.array([holm(p_values), holm(p_values)[::-1]])
    )
    assert corrected([0.01, 0.02], [0.25, 0.25]) == pytest.approx([0.04, 0.06])
    assert corrected([0.01, 0.02, 0.001], [0.5, 0.25, 0.25]) == pytest.approx([0.015, 0.02, 0.004])


def test_every_method_meets_its_students_alone_and_the_best_every_other():
    assert pairs_to_compare([0.5, 0.7, 0.6], [None, 0, 0]) == [(1, 0, True), (2, 0, True), (1, 2, False)]
    assert pairs_to_compare([0.8, 0.7], [None, 0]) == [(1, 0, True)]
    assert pairs_to_compare([0.5, 0.7, 0.6], [None, None, None]) == [(1, 0, False), (1, 2, False)]
    assert pairs_to_compare([0.5], [None]) == []


def test_fewer_than_six_units_cannot_show_anything():
    assert [least_p_value(units) <= 0.05 for units in (3, 5, 6, 8)] == [False, False, True, True]
    assert least_p_value(3) == 0.25
