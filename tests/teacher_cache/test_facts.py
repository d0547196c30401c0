"""The key changes with whatever changes the bits, and with nothing else."""

import pytest
import torch

from preceptor.networks.build import build_network
from preceptor.specs import AugmentSpec, NetworkSpec
from preceptor.teacher_cache.facts import arithmetic_facts, network_facts, pixel_facts

CPU = torch.device("cpu")


def network(seed=0, **more):
    spec = NetworkSpec(architecture="resnet10t", weights="none", **more)
    return build_network(spec, task="classification", classes=("a", "b"), image_size=(32, 32), seed=seed)


class Packed:
    fingerprint = "f"
    reading = 2


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


def test_pixels_depend_on_the_seed_only_where_something_is_random():
    flips, still = AugmentSpec(), AugmentSpec(flip_horizontal=False, flip_vertical=False)
    assert pixel_facts(Packed, flips, 0) != pixel_facts(Packed, flips, 1)
    assert pixel_facts(Packed, still, 0) == pixel_facts(Packed, still, 1)
    assert pixel_facts(Packed, flips, 0) != pixel_facts(Packed, AugmentSpec(rotate=5), 0)


def test_how_many_views_there_are_does_not_count():
    assert pixel_facts(Packed, AugmentSpec(), 0) == pixel_facts(Packed, AugmentSpec(views=8), 0)


@pytest.mark.parametrize(
    "other", [{"batch": 9}, {"precision": torch.bfloat16}, {"channels_last": True}, {"folded": True}]
)
def test_arithmetic_counts(other):
    given = {"batch": 8, "precision": None, "channels_last": False, "folded": False}
    assert arithmetic_facts(CPU, **given) == arithmetic_facts(CPU, **given)
    assert arithmetic_facts(CPU, **given) != arithmetic_facts(CPU, **{**given, **other})
