"""Robustness: the same image coloured otherwise, the same for every network."""

import pytest
from lightning_fabric import Fabric
from tests.training.phantoms import recipe_for

from preceptor.analysis.robustness import KINDS, STRENGTHS, can_be_shifted, curves, in_words, shifts_of
from preceptor.data.prepare import prepare


class Blind:
    """Made of a network, but it sees no colour at all."""

    def __init__(self, network):
        self.network = network

    def eval(self):
        self.network.eval()
        return lambda images: self.network(images * 0)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(recipe_for("classification", {"name": "baseline"}, tmp_path_factory.mktemp("packed")))


def test_a_network_that_sees_no_colour_loses_nothing_and_another_moves_with_the_strength(prepared):
    from preceptor.networks.build import build_network
    from preceptor.specs import NetworkSpec

    spec = NetworkSpec(architecture="test_resnet", weights="none")
    network = build_network(
        spec, task="classification", classes=prepared.packed.classes, image_size=prepared.packed.size, seed=0
    )
    found = shifts_of({"S1": network, "blind": Blind(network)}, prepared, "test", Fabric(accelerator="cpu"))
    assert [(shift.kind, shift.strength) for shift in found["S1"]] == [(k, s) for k in KINDS for s in STRENGTHS]
    assert all(shift.cosine == pytest.approx(1) and shift.drop == 0 for shift in found["blind"])
    for kind in KINDS:
        cosines = [shift.cosine for shift in found["S1"] if shift.kind == kind]
        assert cosines == sorted(cosines, reverse=True)
        assert cosines[-1] < 0.99999
    assert "S1: stain" in in_words(found)
    assert len(curves(found).axes) == 2 * len(KINDS)


def test_masks_are_left_out(tmp_path):
    assert not can_be_shifted(prepare(recipe_for("segmentation", {"name": "baseline"}, tmp_path)))
