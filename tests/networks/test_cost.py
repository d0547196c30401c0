"""Costs against published figures."""

import pytest

from preceptor.networks.build import build_network
from preceptor.networks.cost import cost_of
from preceptor.specs import NetworkSpec


def cost(architecture, classes, size=224, task="classification", **spec):
    names = tuple(f"class {number}" for number in range(classes))
    network = build_network(
        NetworkSpec(architecture=architecture, weights="none", **spec),
        task=task,
        classes=names,
        image_size=(size, size),
        seed=0,
    )
    return cost_of(network.train())


@pytest.mark.parametrize(
    ("architecture", "millions"),
    [
        ("mobilenetv1_100", 569),  # Howard et al. 2017, table 4
        ("resnet18", 1814),  # He et al. 2016, table 1: 1.8e9
        ("vit_tiny_patch16_224", 1258),  # Touvron et al. 2021: 1.3e9, attention included
    ],
)
def test_multiply_adds_of_published_networks(architecture, millions):
    assert cost(architecture, classes=1000).multiply_adds / 1e6 == pytest.approx(millions, rel=0.005)


def test_parameters_and_bytes_by_hand():
    """ResNet-18 with 2 outputs; each of 20 norms has mean and variance (4 800 numbers) and a counter of 8 bytes."""
    found = cost("resnet18", classes=2, size=32)
    assert found.parameters == 11_177_538
    assert found.size == 4 * (11_177_538 + 2 * 4_800) + 20 * 8


def test_multiply_adds_grow_with_the_area():
    small, large = (cost("unet", 2, size, task="segmentation", encoder="resnet10t").multiply_adds for size in (32, 64))
    assert large == 4 * small
