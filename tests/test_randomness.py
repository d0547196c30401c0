"""Counter-based random numbers: pure functions of what they are for, and as random as they should be."""

import hashlib

import numpy as np
import pytest

from preceptor.randomness import generator, key, keys, permutation, uniforms


def test_key_is_the_same_on_every_machine():
    """Written out: a change here changes every run ever made."""
    digest = hashlib.blake2b(b"i1:0s7:augmenti2:-1", digest_size=8).digest()
    assert key(0, "augment", -1) == int.from_bytes(digest, "little")


def test_key_tells_parts_apart():
    variants = [(1, 2), (2, 1), ("1", "2"), (1, "2"), (12,), ("12",), ("ab", "c"), ("a", "bc"), ("abc",), (-1, 2), ()]
    assert len({key(*parts) for parts in variants}) == len(variants)


def test_keys_are_keys_of_names():
    assert keys(["a", "b"]).tolist() == [key("a"), key("b")]
    assert keys(["a"]).dtype == np.uint64


def test_row_depends_on_its_own_id_only():
    ids = keys([f"sample {number}" for number in range(100)])
    whole = uniforms(key("x"), ids, 5)
    np.testing.assert_array_equal(uniforms(key("x"), ids[[7]], 5), whole[[7]])
    np.testing.assert_array_equal(uniforms(key("x"), ids[::-1], 5), whole[::-1])
    np.testing.assert_array_equal(uniforms(key("x"), ids, 3), whole[:, :3])
    assert not np.isin(uniforms(key("y"), ids, 5), whole).any()


def test_uniforms_are_uniform_and_independent():
    numbers = uniforms(key(3, "test"), np.arange(20_000, dtype=np.uint64), 4)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.apply_along_axis(lambda column: np.histogram(column, bins=20, range=(0, 1))[0], 0, numbers)
    assert (((counts - 1000) ** 2 / 1000).sum(axis=0) < 50).all()  # chi-square, 19 degrees of freedom
    assert np.abs(np.corrcoef(numbers.T) - np.eye(4)).max() < 0.03
    assert abs(np.corrcoef(numbers[:-1, 0], numbers[1:, 0])[0, 1]) < 0.03


@pytest.mark.parametrize("size", [0, 1, 2, 1000])
def test_permutation_holds_every_number_once(size):
    order = permutation(key(size), size)
    assert sorted(order.tolist()) == list(range(size))
    np.testing.assert_array_equal(order, permutation(key(size), size))


def test_permutations_are_equally_likely():
    seen, counts = np.unique([permutation(key(n), 3) for n in range(6000)], axis=0, return_counts=True)
    assert len(seen) == 6
    assert (abs(counts - 1000) < 150).all()  # five standard deviations


def test_generators_differ_by_what_they_are_for():
    assert generator("a", 1).random() == generator("a", 1).random()
    assert generator("a", 1).random() != generator("a", 2).random()
