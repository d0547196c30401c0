import pytest
import torch
from torch import nn

from preceptor.errors import UserError
from preceptor.networks.blocks import blocks_of
from preceptor.networks.build import build_network
from preceptor.specs import NetworkSpec


def network(architecture, *, size=32, **more):
    spec = NetworkSpec(architecture=architecture, weights="none", options=more.pop("options", {}))
    return build_network(spec, task="classification", classes=("a", "b", "c"), image_size=(size, size), seed=0, **more)


def through(blocks, x):
    for block in blocks:
        x = block(x)
    return x


@pytest.mark.parametrize(
    "architecture",
    ["resnet18", "resnet50", "mobilenetv1_100", "mobilenetv3_small_050", "mixnet_s", "mixnet_l", "test_resnet"],
)
def test_the_chain_of_blocks_is_the_network(architecture):
    """Logits and stage maps to the bit, in evaluation and in training, and every parameter in one block."""
    net = network(architecture)
    blocks = blocks_of(net)
    assert len(blocks) == 5
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    for training in (False, True):
        net.train(training)
        for block in blocks:
            block.train(training)
        with torch.no_grad():
            outputs = net(images)
            assert torch.equal(through(blocks, net.prepare(images)), outputs.logits)
            if not training:  # running statistics move with every call
                for number in range(1, 5):
                    assert torch.equal(through(blocks[:number], net.prepare(images)), outputs.maps[f"stage{number}"])
    mine = [id(parameter) for block in blocks for parameter in block.parameters()]
    assert sorted(mine) == sorted(id(parameter) for parameter in net.parameters())


def test_dropout_before_the_classifier_drops_in_training_only():
    net = network("resnet10t", options={"drop_rate": 0.5})
    last = blocks_of(net)[-1]
    assert [part.p for part in last if isinstance(part, nn.Dropout)] == [0.5]
    x = torch.rand(4, *net.shapes["stage4"])
    last.train()
    assert not torch.equal(last(x), last(x))
    last.eval()
    assert torch.equal(last(x), last(x))


def test_looking_for_blocks_changes_no_mode():
    net = network("test_resnet").train()
    blocks_of(net)
    assert all(part.training for part in net.modules())
    net.freeze()
    blocks = blocks_of(net)
    assert not any(part.training for block in blocks for part in block.modules())


@pytest.mark.parametrize("architecture", ["test_vit", "hrnet_w18_small", "xception41"])
def test_what_is_no_chain_of_stages_is_refused(architecture):
    size = 160 if architecture == "test_vit" else 64
    with pytest.raises(UserError, match=f"grafting: architecture '{architecture}' is no chain of blocks"):
        blocks_of(network(architecture, size=size))


def test_an_adapter_is_refused_with_advice():
    with pytest.raises(UserError, match=r"resnet10t has an adapter .*\n.*technique.adapter=never"):
        blocks_of(network("resnet10t", adapter=8))
