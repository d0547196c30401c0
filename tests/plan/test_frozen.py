"""A mapping as a value."""

from preceptor.plan.frozen import FrozenMap


def test_equal_maps_are_one_in_a_set():
    one, other = FrozenMap({"a": [1], "b": 2}), FrozenMap({"b": 2, "a": [1]})
    assert one == other == {"a": [1], "b": 2}
    assert len({one, other, FrozenMap({"a": [1], "b": 3})}) == 2


def test_what_it_was_made_of_may_change():
    source = {"a": 1}
    frozen = FrozenMap(source)
    source["a"] = 2
    assert frozen["a"] == 1
    assert list(frozen) == ["a"]
