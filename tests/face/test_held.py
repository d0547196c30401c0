"""Random generators are found wherever loaders hold them, and stand afterwards where they stood."""

import functools
import itertools
import pickle
import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset, TensorDataset

from preceptor.face.generators import put_back, state_of
from preceptor.face.held import held_by

KINDS = {
    "torch": (lambda: torch.Generator().manual_seed(3), lambda one: torch.rand(5, generator=one).tolist()),
    "numpy": (lambda: np.random.default_rng(3), lambda one: [one.random(), one.integers(9, dtype=np.uint32)]),
    "Mersenne": (lambda: np.random.Generator(np.random.MT19937(3)), lambda one: one.random(3).tolist()),
    "Philox": (lambda: np.random.Generator(np.random.Philox(3)), lambda one: one.random(3).tolist()),
    "bits": (lambda: np.random.SFC64(3), lambda one: one.random_raw()),
    "RandomState": (lambda: np.random.RandomState(3), lambda one: [one.randn(), one.rand()]),
    "Python": (lambda: random.Random(3), lambda one: [one.gauss(0, 1), one.random()]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_of_a_generator_brings_another_one_there(kind, tmp_path):
    make, draw = KINDS[kind]
    one, other = make(), make()
    draw(one)
    torch.save(state_of(one), tmp_path / "state")
    draw(other), draw(other)
    put_back(other, torch.load(tmp_path / "state", weights_only=True))
    assert [draw(one) for _ in range(3)] == [draw(other) for _ in range(3)]


RNG = np.random.default_rng(0)
CHANGES = [lambda image: image + RNG.random()]


class Slotted:
    __slots__ = ("__hidden", "rng")

    def __init__(self, rng):
        self.__hidden = rng
        self.rng = None


class Twice:
    """A transform that names a module's generator, and a class that has one."""

    rng = random.Random(0)

    def __call__(self, image):
        return [[change(image) for change in CHANGES] for _ in range(2)]


class Data(TensorDataset):
    def __init__(self, *, transform=None):
        super().__init__(torch.zeros(3, 1))
        self.transform = transform


def encloses(rng):
    return lambda batch: (batch, rng)


def noisy(batch, rng):
    return batch


def own():
    return np.random.default_rng(1)


WHERE = [
    (lambda rng: DataLoader(Data(), generator=torch.Generator(), shuffle=True), [".generator"]),
    (lambda rng: DataLoader(Subset(Data(transform=rng), [0])), [".dataset.dataset.transform"]),
    (lambda rng: DataLoader(Data(transform={"a": [Slotted(rng)]})), [".dataset.transform['a'][0].__hidden"]),
    (lambda rng: DataLoader(Data(transform=rng.random)), [".dataset.transform.__self__"]),
    (lambda rng: DataLoader(Data(), collate_fn=encloses(rng)), [".collate_fn.rng"]),
    (lambda rng: DataLoader(Data(), collate_fn=functools.partial(noisy, rng=rng)), [".collate_fn.keywords['rng']"]),
    (lambda rng: [rng, [rng], np.random.Generator(rng.bit_generator)], ["[0]"]),
    (lambda rng: Data(transform=Twice()), [".transform.rng", f" -> {__name__}.RNG"]),
    (lambda rng: [random._inst, np.random.mtrand._rand, torch.default_generator, random, np.random], []),
]


@pytest.mark.parametrize(("make", "expected"), WHERE)
def test_where_they_are(make, expected):
    found = held_by({"": make(own())})
    assert len(found.generators) == len(expected)
    for path, ending in zip(sorted(found.generators), sorted(expected), strict=True):
        assert path.endswith(ending)
    assert (found.lost, found.is_whole) == ({}, True)


def test_what_cannot_be_kept():
    found = held_by({"x": [random.SystemRandom(), np.random.SeedSequence(0), itertools.cycle([1]), (n for n in [1])]})
    assert list(found.lost) == ["x[0]", "x[1]", "x[2]", "x[3]"]
    assert "operating system" in found.lost["x[0]"]
    assert not found.generators


def test_a_data_set_with_very_many_samples_is_looked_through():
    rows = [(f"image {number}.png", number % 3) for number in range(300_000)]
    found = held_by({"loader": {"rows": rows, "rng": own()}})
    assert list(found.generators) == ["loader['rng']"]
    assert found.is_whole
    assert not held_by({"loader": [{} for _ in range(200_001)]}).is_whole


def test_nothing_is_changed_by_looking():
    data = Data(transform=Slotted(own()))
    before = pickle.dumps(data)
    held_by({"loader": data})
    assert pickle.dumps(data) == before
