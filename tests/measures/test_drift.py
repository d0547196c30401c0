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


def test_parts_of_few_groups_are_not_told_apart_by_many_images():
    assert drift.part_p_value(np.array([0.1]), np.array([0.5, 0.6])) == 1.0
    assert drift.part_p_value(np.array([0.1, 0.1]), np.array([0.5, 0.5])) == 0.0


def parts(generator, looks=4):
    """Differences and p-values of validation and test against training; nothing differs but hospitals."""
    gaps, p_values = np.zeros((2, looks)), np.ones((2, looks))
    for place in range(looks):
        means = [generator.normal(0, 0.5, count) for count in (12, 4, 4)]
        images = [np.repeat(one, 30) + generator.normal(0, 1, 30 * len(one)) for one in means]
        units = [one.reshape(-1, 30).mean(axis=1) for one in images]
        for row in (0, 1):
            gaps[row, place] = drift.standardised_difference(images[row + 1], images[0])
            p_values[row, place] = drift.part_p_value(units[row + 1], units[0])
    return gaps, p_values


def test_no_more_than_one_data_set_in_twenty_names_a_part_where_none_is_odd():
    generator = np.random.default_rng(0)
    assert sum(drift.named_parts(*parts(generator)).any() for _ in range(200)) <= 20
