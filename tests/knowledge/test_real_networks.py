"""Every loss for classes between real networks of unlike families: it builds, and everything that should learn does."""

from functools import cache

import pytest
import torch

from preceptor.knowledge import catalogue
from preceptor.networks.build import build_network
from preceptor.networks.outputs import Outputs
from preceptor.specs import NetworkSpec

from .networks import Edge, edge, tensors

NETWORKS = {
    "resnet": {"architecture": "resnet18"},
    "mobilenet": {"architecture": "mobilenetv3_small_050"},
    "mixnet": {"architecture": "mixnet_s"},
    "vit": {"architecture": "vit_tiny_patch16_224", "options": {"img_size": 64, "depth": 4}},
}
PAIRS = [("resnet", "mobilenet"), ("mixnet", "resnet"), ("vit", "resnet"), ("resnet", "vit")]
AS_WIDE = ("feature_mse", "exit_features")
"""Without an adapter: they want equal widths."""

KEYS = [key for key, e in catalogue.losses().items() if "classification" in e.settings and key not in AS_WIDE]


@cache
def outputs(name: str) -> Outputs:
    """What a real, untrained network says about eight images."""
    network = build_network(
        NetworkSpec(weights="none", **NETWORKS[name]),
        task="classification",
        classes=["a", "b", "c"],
        image_size=(64, 64),
        seed=0,
    )
    with torch.no_grad():
        found: Outputs = network.eval()(torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(("teacher", "student"), PAIRS)
def test_real_networks_teach_each_other(key: str, teacher: str, student: str) -> None:
    torch.manual_seed(0)
    options = {"widest": 16} if key == "semckd" else {}
    one: Edge = edge(key, "classification", outputs(student), outputs(teacher), classes=3, options=options)
    learning = [tensor.requires_grad_() for tensor in tensors(one.student)]
    learning += [parameter for parameter in one.loss.parameters() if parameter.requires_grad]

    value = one.value()
    found = torch.autograd.grad(value, learning)

    assert value.isfinite()
    assert all(gradient.isfinite().all() and gradient.abs().sum() > 0 for gradient in found)
