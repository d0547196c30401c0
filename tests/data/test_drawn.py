"""A random part of all images, drawn before the split."""

import numpy as np
import pytest
from PIL import Image

from preceptor.data.order import balanced
from preceptor.data.prepare import prepare
from preceptor.data.sources import open_source
from preceptor.data.subsets import drawn
from preceptor.errors import UserError
from preceptor.recipe import parse_recipe
from preceptor.specs import SubsetSpec


@pytest.fixture
def tiles(tmp_path):
    """A folder of 12 images of class a, 5 of b and 4 of c."""
    rng = np.random.default_rng(0)
    for name, count in (("a", 12), ("b", 5), ("c", 4)):
        (tmp_path / name).mkdir()
        for number in range(count):
            pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    return tmp_path


def names(table):
    return table.frame["id"].tolist()


def test_as_many_of_each_class(tiles):
    table = open_source("folder", str(tiles))
    some = drawn(table, SubsetSpec(count=12, balanced=True))
    assert some.frame["label"].value_counts().to_dict() == {0: 4, 1: 4, 2: 4}
    assert some.notes[-1] == "12 of 21 images, 4 of each class, were drawn before the split (data.subset, seed 0)."
    for row, name in enumerate(names(some)):
        there = names(table).index(name)
        assert np.array_equal(some.read(row)[0], table.read(there)[0])
        assert some.files(row) == table.files(there)


def test_fewer_are_contained_in_more_and_seeds_differ(tiles):
    table = open_source("folder", str(tiles))
    few, more, other = (
        set(names(drawn(table, SubsetSpec(count=count, seed=seed)))) for count, seed in ((5, 0), (15, 0), (15, 1))
    )
    assert few < more
    assert more != other
    assert names(drawn(table, SubsetSpec(count=21))) == names(table)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"count": 22}, "22 images are wanted, but there are 21"),
        ({"count": 10, "balanced": True}, "give a multiple of 3, such as 9"),
        ({"count": 15, "balanced": True}, "are 5 of each, but class 'c' has 4; ask for at most 12"),
    ],
)
def test_what_cannot_be_drawn_is_said(tiles, spec, words):
    with pytest.raises(UserError, match=words):
        drawn(open_source("folder", str(tiles)), SubsetSpec(**spec))


def test_masks_have_no_class_to_balance_by():
    table = open_source("phantom", None, {"task": "segmentation", "images": 8, "size": 32})
    assert len(drawn(table, SubsetSpec(count=3))) == 3
    with pytest.raises(UserError, match="Leave balanced out"):
        drawn(table, SubsetSpec(count=4, balanced=True))


def test_the_split_is_of_what_was_drawn(tiles):
    network = {"architecture": "test_resnet"}
    raw = {
        "task": "classification",
        "data": {"source": "folder", "path": str(tiles), "image_size": 8, "subset": {"count": 12, "balanced": True}},
        "split": {"fractions": [0.5, 0.25, 0.25]},
        "networks": {"teacher": network, "student": network},
        "technique": {"name": "baseline"},
    }
    prepared = prepare(parse_recipe(raw))
    assert len(prepared.packed.frame) == 12
    assert sum(map(len, prepared.rows.values())) == 12
    assert any("drawn before the split" in note for note in prepared.notes)


def test_balance_both_is_the_mean_size_drawn_anew():
    labels = np.repeat([0, 1, 2], [100, 10, 40])
    first, second = (balanced(labels, "both", stream) for stream in (1, 2))
    assert np.bincount(labels[first]).tolist() == [50, 50, 50]
    counts = np.bincount(first, minlength=150)
    assert counts[:100].max() == 1
    assert set(counts[100:110].tolist()) == {5}
    assert set(counts[110:].tolist()) == {1, 2}
    assert not np.array_equal(np.sort(first), np.sort(second))
