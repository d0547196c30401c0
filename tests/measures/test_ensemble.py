import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.measures import mask_counts, maximum, mean, merged_masks, union


def members(count, classes, seed=0, samples=50):
    return np.random.default_rng(seed).dirichlet(np.ones(classes), size=(count, samples))


def test_maximum_by_hand():
    pair = [np.array([[0.6, 0.3, 0.1]]), np.array([[0.2, 0.1, 0.7]])]
    np.testing.assert_allclose(maximum(pair, renormalise=False), [[0.6, 0.3, 0.7]])
    np.testing.assert_allclose(maximum(pair), [[0.6 / 1.6, 0.3 / 1.6, 0.7 / 1.6]])
    np.testing.assert_allclose(mean(pair), [[0.4, 0.2, 0.4]])


@given(st.integers(0, 2**32 - 1))
def test_two_networks_and_two_classes_decide_as_the_mean(seed):
    pair = members(2, 2, seed)
    np.testing.assert_array_equal(maximum(pair).argmax(axis=1), mean(pair).argmax(axis=1))


def test_three_networks_need_not_decide_as_the_mean():
    three = [np.array([[0.95, 0.05]]), np.array([[0.1, 0.9]]), np.array([[0.1, 0.9]])]
    assert maximum(three).argmax() == 0
    assert mean(three).argmax() == 1


def test_one_network_is_its_own_ensemble():
    (alone,) = members(1, 4)
    np.testing.assert_allclose(maximum([alone]), alone)
    np.testing.assert_allclose(mean([alone]), alone)


def test_renormalised_rows_sum_to_one_and_keep_the_decision():
    three = members(3, 5)
    np.testing.assert_allclose(maximum(three).sum(axis=1), 1.0)
    np.testing.assert_array_equal(maximum(three).argmax(axis=1), np.maximum.reduce(list(three)).argmax(axis=1))


def test_union_never_lowers_recall():
    generator = np.random.default_rng(0)
    masks, target = generator.integers(2, size=(3, 4, 6, 6)), generator.integers(2, size=(4, 6, 6))
    found = union(list(masks))
    assert found.dtype == np.int64
    assert set(np.unique(found)) <= {0, 1}
    for mask in masks:
        assert (mask_counts(found, target)[..., 0] >= mask_counts(mask, target)[..., 0]).all()


def test_merged_masks_take_the_surest_member():
    background = np.array([0.5, 0.4, 0.1]).reshape(1, 3, 1, 1)
    sure = np.array([0.2, 0.1, 0.7]).reshape(1, 3, 1, 1)
    assert merged_masks([background, sure]).tolist() == [[[2]]]


def test_two_channels_merge_like_a_union_of_sure_masks():
    """Two networks: the surer one decides, so a pixel is foreground when the mean is above one half."""
    foreground = np.random.default_rng(1).random((2, 3, 1, 4, 4))
    pair = [np.concatenate([1 - p, p], axis=1) for p in foreground]
    np.testing.assert_array_equal(merged_masks(pair), (foreground.mean(axis=0)[:, 0] > 0.5).astype(int))


def test_members_must_match():
    with pytest.raises(ValueError, match="shape"):
        maximum([np.full((2, 3), 1 / 3), np.full((3, 3), 1 / 3)])
