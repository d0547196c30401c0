"""Drift: by hand, a hospital that is unlike the others, and how often one is named where none is."""

import numpy as np
import pytest
from scipy import stats

from preceptor.measures import drift


def test_standardised_difference_by_hand():
    assert drift.standardised_difference(np.array([1.0, 3.0]), np.array([0.0, 2.0])) == pytest.approx(1.0)
    assert drift.standardised_difference(np.ones(3), np.ones(2)) == 0.0


def test_the_p_value_of_a_group_is_that_of_one_more_observation():
    means = np.array([1.0, 2.0, 3.0, 9.0])
    t = (9 - 2) / (1.0 * np.sqrt(1 + 1 / 3))
    assert drift.group_p_values(means)[3] == pytest.approx(2 * stats.t.sf(t, df=2))
    others = [drift.p_value(means[[place]], np.delete(means, place)) for place in range(4)]
    np.testing.assert_allclose(drift.group_p_values(means), others)
    assert (drift.group_p_values(means[:3]) == 1).all()


def test_groups_weigh_alike():
    np.testing.assert_allclose(drift.group_means(np.array([1.0, 3.0, 5.0]), ["a", "a", "b"]), [2.0, 5.0])


def hospitals(generator, shift=0.0, looks=4, count=8):
    """Differences and p-values of (hospitals, looks); those vary, images within them too; the first is shifted."""
    gaps, p_values = np.zeros((count, looks)), np.ones((count, looks))
    for place in range(looks):
        of_hospital = generator.normal(0, 0.5, count)
        of_hospital[0] += shift
        sizes = generator.integers(20, 60, count)
        values = np.concatenate([generator.normal(of_hospital[n], 1.0, size) for n, size in enumerate(sizes)])
        groups = np.repeat(np.arange(count), sizes)
        p_values[:, place] = drift.group_p_values(drift.group_means(values, groups.tolist()))
        gaps[:, place] = [drift.standardised_difference(values[groups == n], values[groups != n]) for n in range(count)]
    return gaps, p_values


def test_no_more_than_one_data_set_in_twenty_names_a_group_where_none_is_odd():
    generator = np.random.default_rng(0)
    false = sum(drift.named_groups(*hospitals(generator)).any() for _ in range(200))
    assert false <= 20, "the upper 99.9 % limit of 5 % of 200 is 20"


def test_a_hospital_of_another_stain_is_named():
    named = drift.named_groups(*hospitals(np.random.default_rng(1), shift=6.0))
    assert named[0].all()
    assert not named[1:].any()


def test_students_t_of_parts_and_of_a_single_group():
    first, second = np.array([0.2, 0.7, 0.4]), np.array([1.0, 0.6, 0.9, 1.4])
    assert drift.p_value(first, second) == pytest.approx(stats.ttest_ind(first, second).pvalue)
    assert drift.p_value(np.array([0.1]), np.array([0.5, 0.6])) == 1.0
    assert drift.p_value(np.array([0.1, 0.1]), np.array([0.5, 0.5])) == 0.0


def looks_of(generator, groups, images=30):
    """(N, 4) looks and the group of each image; nothing differs but groups."""
    means = generator.normal(0, 0.5, (groups, 4))
    return np.repeat(means, images, axis=0) + generator.normal(0, 1, (groups * images, 4)), np.repeat(
        np.arange(groups), images
    ).tolist()


@pytest.mark.parametrize("counts", [(12, 4, 4), (21, 2, 3), (30, 1, 2)])
def test_no_more_than_one_data_set_in_twenty_names_a_part_where_none_is_odd(counts):
    generator, false = np.random.default_rng(0), 0
    parts = np.repeat(("train", "validation", "test"), np.multiply(counts, 30)).tolist()
    for _ in range(200):
        looks, groups = looks_of(generator, sum(counts))
        found = drift.parts_against_training(looks, parts, groups)
        assert [one.images for one in found] == [30 * counts[1], 30 * counts[2]]
        false += any(one.named.any() for one in found)
    assert false <= 20, "the upper 99.9 % limit of 5 % of 200 is 20"


def test_no_more_than_one_data_set_in_twenty_names_a_site_where_none_is_odd():
    generator, false = np.random.default_rng(0), 0
    of_group = np.repeat(np.arange(12), [1, 1, 2, 2, 2, 2, 3, 3, 4, 4, 5, 6])
    for _ in range(200):
        looks, groups = looks_of(generator, len(of_group))
        sites = [f"site {of_group[group]}" for group in groups]
        false += any(one.named.any() for one in drift.sites_against_others(looks, sites, groups))
    assert false <= 20


def test_a_site_of_another_scanner_is_named():
    looks, groups = looks_of(np.random.default_rng(2), 20)
    sites = ["ABCD"[group % 4] for group in groups]
    looks[[site == "C" for site in sites], 1] += 3
    found = drift.sites_against_others(looks, sites, groups)
    assert found[0].name == "C"
    assert [one.name for one in found if one.named.any()] == ["C"]
    assert found[0].named.tolist() == [False, True, False, False]
