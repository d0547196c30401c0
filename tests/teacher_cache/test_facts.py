"""The key changes with whatever changes the bits, and with nothing else."""

import numpy as np
import pandas as pd
import pytest
import torch

from preceptor.data.samples import SampleTable
from preceptor.data.store import pack
from preceptor.networks.build import build_network
from preceptor.specs import AugmentSpec, NetworkSpec, TileSpec
from preceptor.teacher_cache.facts import (
    UNCHANGED,
    arithmetic_facts,
    asked_facts,
    image_keys,
    network_facts,
    pixel_facts,
)

CPU = torch.device("cpu")


def network(seed=0, **more):
    spec = NetworkSpec(architecture="resnet10t", weights="none", **more)
    return build_network(spec, task="classification", classes=("a", "b"), image_size=(32, 32), seed=seed)


PLACING = {"size": [32, 32], "resize": "squash"}


def test_a_network_is_known_by_its_content():
    one = network()
    assert network_facts(one) == network_facts(network())
    with torch.no_grad():
        next(one.parameters()).view(-1)[0] += 1e-7
    assert network_facts(one)["weights"] != network_facts(network())["weights"]


@pytest.mark.parametrize("part", ["mean", "buffer", "size", "structure"])
def test_everything_done_to_images_counts(part):
    one, other = network(), network()
    match part:
        case "mean":
            other.mean += 0.1
        case "buffer":
            dict(other.named_buffers())["model.bn1.running_mean"] += 1
        case "size":
            other.network_size = (64, 64)
        case "structure":
            other.model.bn1.eps = 0.1
    assert network_facts(one) != network_facts(other)


def test_where_weights_came_from_does_not_count(tmp_path):
    one = network()
    one.save(tmp_path / "saved")
    again = NetworkSpec(architecture="resnet10t", weights=str(tmp_path / "saved"))
    other = build_network(again, task="classification", classes=("a", "b"), image_size=(32, 32), seed=5)
    assert network_facts(one) == network_facts(other)


def test_a_new_head_does_not_count_where_no_logits_are_read():
    """So what a foundation model says is the same record for data of other classes."""
    spec = NetworkSpec(architecture="resnet10t", weights="none")
    one, other = (
        build_network(spec, task="classification", classes=classes, image_size=(32, 32), seed=0)
        for classes in (("a", "b"), ("a", "b", "c"))
    )
    other.load_state_dict({**other.state_dict(), **{k: v for k, v in one.state_dict().items() if ".fc." not in k}})
    assert network_facts(one) != network_facts(other)
    assert network_facts(one, whole=False) == network_facts(other, whole=False)
    with torch.no_grad():
        next(one.parameters()).view(-1)[0] += 1e-7
    assert network_facts(one, whole=False) != network_facts(other, whole=False)


def test_a_head_counts_where_logits_are_read():
    one, other = network(), network()
    with torch.no_grad():
        other.model.fc.bias += 1
    for read, are_equal in ((frozenset({"logits"}), False), (frozenset({"embedding"}), True), (None, False)):
        one.read = other.read = read
        assert (asked_facts(one) == asked_facts(other)) == are_equal
    one.read = other.read = frozenset({"embedding"})
    one.has_new_head = other.has_new_head = False
    assert asked_facts(one) != asked_facts(other), "of a head of its own other runs may read logits too"


def packed_of(images, folder, *, names=None, **more):
    """A packed set of these images."""
    names = names or [f"{number}.png" for number in range(len(images))]
    frame = pd.DataFrame({"id": names, "label": 0, "group": None, "split": None})
    table = SampleTable(
        source="made",
        task="classification",
        classes=("a", "b"),
        frame=frame,
        read=lambda row: (images[row], None),
        files=lambda row: (),
        identity=",".join(names),
    )
    return pack(table, **{"size": (8, 8), "folder": folder, **more})


def test_images_are_known_by_their_pixels_alone_whatever_set_they_are_in(tmp_path):
    images = list(np.random.default_rng(0).integers(0, 256, (3, 9, 9, 3), dtype=np.uint8))
    one = packed_of(images, tmp_path)
    other = packed_of(images[::-1], tmp_path, names=["x.png", "y.png", "z.png"])
    still, flips = UNCHANGED, AugmentSpec()
    assert image_keys(one, still).tolist() == image_keys(other, still)[::-1].tolist()
    assert one.placing == other.placing
    assert not {*image_keys(one, flips).tolist()} & {*image_keys(other, flips).tolist()}, "names draw the changes"
    assert one.placing != packed_of(images, tmp_path, resize="crop").placing


def test_tiles_of_one_image_have_keys_of_their_own(tmp_path):
    image = np.zeros((8, 12, 3), dtype=np.uint8)
    keys = image_keys(packed_of([image], tmp_path, tile=TileSpec(size=8, overlap=4)), UNCHANGED)
    assert len(np.unique(keys)) == len(keys) == 2


def test_pixels_depend_on_the_seed_only_where_something_is_random():
    flips, still = AugmentSpec(), AugmentSpec(flip_horizontal=False, flip_vertical=False)
    assert pixel_facts(PLACING, flips, 0) != pixel_facts(PLACING, flips, 1)
    assert pixel_facts(PLACING, still, 0) == pixel_facts(PLACING, still, 1)
    assert pixel_facts(PLACING, flips, 0) != pixel_facts(PLACING, AugmentSpec(rotate=5), 0)


def test_how_many_views_there_are_does_not_count():
    assert pixel_facts(PLACING, AugmentSpec(), 0) == pixel_facts(PLACING, AugmentSpec(views=8), 0)


@pytest.mark.parametrize(
    "other", [{"batch": 9}, {"precision": torch.bfloat16}, {"channels_last": True}, {"folded": True}]
)
def test_arithmetic_counts(other):
    given = {"batch": 8, "precision": None, "channels_last": False, "folded": False}
    assert arithmetic_facts(CPU, **given) == arithmetic_facts(CPU, **given)
    assert arithmetic_facts(CPU, **given) != arithmetic_facts(CPU, **{**given, **other})
