"""Images of other than three channels: through timm, smp, normalisation, saving and loading."""

import pytest
import timm
import torch

from preceptor.composed import load_network
from preceptor.errors import UserError
from preceptor.networks.build import build_network
from preceptor.networks.normalisation import in_channels
from preceptor.specs import NetworkSpec


def build(channels, *, task="classification", architecture="resnet10t", **more):
    spec = NetworkSpec(architecture=architecture, **{"weights": "none", **more})
    return build_network(spec, task=task, classes=("a", "b"), image_size=(32, 32), seed=0, channels=channels).eval()


def test_means_of_other_channels():
    assert in_channels((0.1, 0.2, 0.6), 3) == (0.1, 0.2, 0.6)
    assert in_channels((0.1, 0.2, 0.6), 1) == (pytest.approx(0.3),)
    assert in_channels((0.1, 0.2, 0.6), 5) == (0.1, 0.2, 0.6, 0.1, 0.2)
    assert in_channels((0.5,), 2) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("task", "architecture", "encoder"),
    [
        ("classification", "resnet10t", None),
        ("classification", "vit_tiny_patch16_224", None),
        ("segmentation", "unet", "resnet18"),
    ],
)
@pytest.mark.parametrize("channels", [1, 4, 16])
def test_networks_take_as_many_and_are_loaded_again(tmp_path, task, architecture, encoder, channels):
    network = build(channels, task=task, architecture=architecture, encoder=encoder)
    images = torch.rand(2, channels, 32, 32)
    with torch.no_grad():
        said = network(images).logits
        network.save(tmp_path / "saved")
        again = load_network(tmp_path / "saved")
        assert torch.equal(again(images).logits, said)
        assert len(again.blueprint.mean) == channels
        if task == "classification":
            plain = timm.create_model(f"local-dir:{tmp_path / 'saved'}", pretrained=True).eval()
            assert plain.default_cfg["input_size"] == (channels, 32, 32)
            assert torch.equal(plain((images - network.mean) / network.std), said)


def test_weights_of_three_channels_are_adapted_and_others_refused(tmp_path):
    build(3).save(tmp_path / "three")
    build(4).save(tmp_path / "four")
    three = build(3, weights=str(tmp_path / "three"))
    one = build(1, weights=str(tmp_path / "three"))
    first = {network.blueprint.channels: next(network.parameters()) for network in (three, one)}
    assert torch.allclose(first[1], first[3].sum(dim=1, keepdim=True))
    assert torch.equal(
        next(build(4, weights=str(tmp_path / "four")).parameters()), next(load_network(tmp_path / "four").parameters())
    )
    with pytest.raises(UserError, match=r"they take images of 4 channels, these have 2.*data\.channels=4"):
        build(2, weights=str(tmp_path / "four"))
