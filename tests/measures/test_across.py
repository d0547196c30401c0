"""Ranks over data sets, checked against scipy, and what so few of them allow."""

import numpy as np
import pytest
from scipy import stats

from preceptor.measures.across import data_sets_needed, interquartile_mean, normalised, rank_test


def scores(sets, methods, lead=0.0, seed=0):
    """(sets, methods) of which the first is better by ``lead``."""
    found = np.random.default_rng(seed).normal(size=(sets, methods))
    found[:, 0] += lead
    return found


def test_ranks_by_hand():
    test = rank_test(np.array([[0.9, 0.8, 0.7], [0.6, 0.6, 0.5], [0.1, 0.3, 0.2]]))
    np.testing.assert_allclose(test.average_ranks, [(1 + 1.5 + 3) / 3, (2 + 1.5 + 1) / 3, (3 + 3 + 2) / 3])


@pytest.mark.parametrize("methods", [3, 5])
def test_friedman_as_scipy(methods):
    found = scores(9, methods)
    assert rank_test(found).friedman == pytest.approx(stats.friedmanchisquare(*found.T).pvalue)


def test_pairs_are_wilcoxons_with_holm():
    found = scores(10, 3, lead=2.0)
    raw = [stats.wilcoxon(found[:, a], found[:, b]).pvalue for a, b in ((0, 1), (0, 2), (1, 2))]
    order = np.argsort(raw)
    expected, largest = np.empty(3), 0.0
    for place, which in enumerate(order):
        largest = max(largest, min(1.0, (3 - place) * raw[which]))
        expected[which] = largest
    np.testing.assert_allclose(list(rank_test(found).corrected.values()), expected)


def test_two_methods_have_ranks_too():
    test = rank_test(np.column_stack([np.arange(8) + 1.0, np.arange(8)]))
    assert test.friedman == pytest.approx(stats.chi2.sf(8, df=1))
    assert test.differ(0, 1)
    assert test.alike == []


def test_a_method_that_is_better_everywhere_is_told_apart():
    test = rank_test(scores(12, 3, lead=20.0))
    assert test.differ(0, 1)
    assert test.differ(2, 0)
    assert test.alike == [tuple(sorted((1, 2), key=lambda n: test.average_ranks[n]))]


@pytest.mark.parametrize(("methods", "needed"), [(2, 6), (3, 7), (4, 8), (13, 12)])
def test_how_many_data_sets_a_verdict_needs(methods, needed):
    """Two methods: 2 of 2^6 signs are 0.03; four: times six pairs of 2 of 2^8 are 0.047."""
    assert data_sets_needed(methods) == needed
    for sets in (needed - 1, needed):
        better_everywhere = (
            np.arange(methods)[None, :] + np.arange(sets)[:, None] * (1 + 0.1 * np.arange(methods))[None]
        )
        assert rank_test(better_everywhere).differ(0, methods - 1) == (sets == needed)


def test_equal_methods_are_alike():
    test = rank_test(np.ones((9, 3)))
    assert test.friedman == 1.0
    assert test.alike == [(0, 1, 2)]


def test_normalised_by_the_worst_and_the_best_mean():
    found = normalised([[[0.5, 0.7], [0.9, 0.9]], [[1.0], [1.0]]])
    np.testing.assert_allclose(found[0][0], [-1 / 3, 1 / 3])
    np.testing.assert_allclose(found[0][1], [1, 1])
    np.testing.assert_allclose(found[1][0], [0.5])


def test_the_interquartile_mean_is_of_the_middle_half():
    found = interquartile_mean([np.array([0.0, 0.4]), np.array([0.6, 1.0])])
    assert found.value == pytest.approx(0.5)
    assert 0 <= found.low < 0.5 < found.high <= 1
    steady = interquartile_mean([np.array([0.2, 0.2]), np.array([0.8, 0.8])])
    assert (steady.low, steady.high) == pytest.approx((0.5, 0.5)), "seeds are drawn within each data set"
