"""What every network does: prepare images, freeze, limit its taps."""

import copy

import pytest
import torch
from torch import nn

from preceptor.errors import UserError
from preceptor.networks.build import build_network
from preceptor.specs import NetworkSpec


def make(architecture="resnet10t", size=32, task="classification", **spec):
    return build_network(
        NetworkSpec(architecture=architecture, weights="none", **spec),
        task=task,
        classes=("a", "b", "c"),
        image_size=(size, size),
        seed=3,
    )


def test_normalises_with_the_given_mean_and_deviation():
    network = make(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125))
    prepared = network.prepare(torch.full((1, 3, 32, 32), 0.6))
    torch.testing.assert_close(prepared[0, :, 0, 0], torch.tensor([1.0, 1.6, 2.4]))


def test_without_a_mean_uses_the_pretrained_one():
    torch.testing.assert_close(make().mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))
    torch.testing.assert_close(make("vit_tiny_patch16_224").mean.flatten(), torch.tensor([0.5, 0.5, 0.5]))


def test_resizes_to_its_own_input_size():
    network = make(size=32, input_size=64).eval()
    images = torch.rand(2, 3, 32, 32)
    assert network.prepare(images).shape == (2, 3, 64, 64)
    assert network.shapes["stage1"] == (64, 16, 16)
    assert network(images).logits.shape == (2, 3)


def test_constant_images_stay_constant_when_resized():
    prepared = make(size=40, input_size=32).prepare(torch.full((1, 3, 40, 40), 0.5))
    torch.testing.assert_close(prepared, prepared[:, :, :1, :1].expand_as(prepared))


def test_masks_come_back_at_the_size_of_the_images():
    network = make("unet", size=48, task="segmentation", encoder="resnet10t", input_size=64).eval()
    assert network(torch.rand(2, 3, 48, 48)).logits.shape == (2, 3, 48, 48)


def test_frozen_networks_stay_frozen():
    network = make()
    network.freeze()
    network.train()
    assert network.is_frozen
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_only_read_maps_are_returned():
    network = make().eval()
    images = torch.rand(2, 3, 32, 32)
    everything = network(images)
    for read, maps in [
        (frozenset(), []),
        (frozenset({"logits", "embedding"}), []),
        (frozenset({"last"}), ["last"]),
        (frozenset({"stage2"}), ["stage2"]),
        (frozenset({"stages", "last"}), ["stage1", "stage2", "stage3", "stage4", "last"]),
    ]:
        network.read = read
        outputs = network(images)
        assert list(outputs.maps) == maps
        torch.testing.assert_close(outputs.logits, everything.logits, rtol=0, atol=0)
        torch.testing.assert_close(outputs.embedding, everything.embedding, rtol=0, atol=0)
        for name in maps:
            torch.testing.assert_close(outputs.maps[name], everything.maps[name], rtol=0, atol=0)
    assert "stage1" in network.taps


def test_looking_at_shapes_leaves_mode_and_statistics_alone():
    network = make().train()
    before = copy.deepcopy(network.state_dict())
    network.measure_shapes()
    assert all(module.training for module in network.modules())
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"architecture": "resnet10t"}, False),
        ({"architecture": "resnet10t", "options": {"drop_rate": 0.5}}, True),
        ({"architecture": "resnet18", "options": {"drop_path_rate": 0.5}}, True),
        ({"architecture": "resnet18", "options": {"drop_block_rate": 0.5}}, True),
        ({"architecture": "mobilenetv3_small_050", "options": {"drop_rate": 0.5}}, True),
        ({"architecture": "vit_tiny_patch16_224"}, False),
        ({"architecture": "vit_tiny_patch16_224", "options": {"attn_drop_rate": 0.5}}, True),
        ({"architecture": "unet", "encoder": "resnet10t", "task": "segmentation"}, False),
        ({"architecture": "fpn", "encoder": "resnet10t", "task": "segmentation"}, True),
    ],
)
def test_says_whether_training_draws_random_numbers(spec, expected):
    network = make(**spec).train()
    state = torch.get_rng_state()
    network(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    drew = not torch.equal(state, torch.get_rng_state())
    assert network.is_stochastic == expected
    assert drew == expected


def test_a_frozen_network_draws_nothing():
    network = make(options={"drop_rate": 0.5})
    network.freeze()
    assert not network.is_stochastic


def test_segmenters_refuse_another_head():
    network = make("unet", task="segmentation", encoder="resnet10t")
    with pytest.raises(UserError, match="keep their own head"):
        network.replace_head(nn.Identity())
