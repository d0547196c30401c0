"""timm models with taps: their own logits, the right maps, adapters and other heads."""

import pytest
import timm
import torch
from torch import nn

from preceptor.errors import UserError
from preceptor.networks.build import build_network
from preceptor.specs import NetworkSpec

ARCHITECTURES = [
    ("resnet10t", 27),
    ("resnet18", 64),
    ("mobilenetv1_100", 64),
    ("mobilenetv3_small_050", 64),
    ("mixnet_s", 64),
    ("efficientnet_lite0", 64),
    ("convnext_atto", 64),
    ("resnetv2_18", 64),  # ends in a convolution, not a linear layer
    ("vit_tiny_patch16_224", 64),
    ("deit_tiny_distilled_patch16_224", 32),  # two class tokens, two heads
    ("swin_tiny_patch4_window7_224", 64),
]


def make(architecture, size, classes=("a", "b"), adapter=None, **spec):
    return build_network(
        NetworkSpec(architecture=architecture, weights="none", **spec),
        task="classification",
        classes=classes,
        image_size=(size, size),
        seed=1,
        adapter=adapter,
    )


@pytest.mark.parametrize(("architecture", "size"), ARCHITECTURES)
def test_logits_are_exactly_the_plain_models(architecture, size):
    network = make(architecture, size).eval()
    size_option = {"img_size": size} if timm.get_pretrained_cfg(architecture).fixed_input_size else {}
    plain = timm.create_model(architecture, num_classes=2, **size_option).eval()
    plain.load_state_dict(network.model.state_dict())
    images = torch.rand(2, 3, size, size)
    with torch.no_grad():
        assert torch.equal(network(images).logits, plain((images - network.mean) / network.std))


@pytest.mark.parametrize(
    ("architecture", "size"),
    [("resnet10t", 64), ("mobilenetv3_small_050", 64), ("convnext_atto", 64), ("vit_tiny_patch16_224", 64)],
)
def test_taps_are_stages_of_halving_size(architecture, size):
    network = make(architecture, size)
    sides = [network.shapes[f"stage{number}"][-1] for number in (1, 2, 3, 4)]
    assert sides == ([4, 4, 4, 4] if architecture.startswith("vit") else [16, 8, 4, 2])
    assert network.shapes["last"][1:] == network.shapes["stage4"][1:]
    assert network.taps == ("logits", "embedding", "stage1", "stage2", "stage3", "stage4", "last")


@pytest.mark.parametrize("architecture", ["resnet10t", "mobilenetv3_small_050", "convnext_atto"])
def test_classifier_maps_the_embedding_to_the_logits(architecture):
    network = make(architecture, 64).eval()
    outputs = network(torch.rand(2, 3, 64, 64))
    assert torch.equal(network.classifier(outputs.embedding), outputs.logits)


def test_no_classifier_where_the_head_is_not_one_linear_layer():
    assert make("deit_tiny_distilled_patch16_224", 32).classifier is None


def test_the_embedding_is_the_pooled_last_map():
    network = make("mixnet_s", 64).eval()
    outputs = network(torch.rand(2, 3, 64, 64))
    torch.testing.assert_close(outputs.embedding, outputs.maps["last"].mean(dim=(2, 3)))


def test_a_transformers_last_map_is_its_normalised_tokens_in_reading_order():
    network = make("vit_tiny_patch16_224", 64).eval()
    images = torch.rand(1, 3, 64, 64)
    tokens = network.model.forward_features(network.prepare(images))
    last = network(images).maps["last"]
    for row, column in [(0, 0), (1, 2), (3, 3)]:
        assert torch.equal(last[0, :, row, column], tokens[0, 1 + 4 * row + column])


def test_swins_last_map_is_channels_first():
    network = make("swin_tiny_patch4_window7_224", 64).eval()
    outputs = network(torch.rand(1, 3, 64, 64))
    torch.testing.assert_close(outputs.embedding, outputs.maps["last"].mean(dim=(2, 3)))


@pytest.mark.parametrize(
    ("architecture", "shapes"),
    [
        ("resnet18", {"stage1": (64, 56, 56), "stage2": (128, 28, 28), "stage3": (256, 14, 14), "last": (512, 7, 7)}),
        ("resnet50", {"stage1": (256, 56, 56), "stage2": (512, 28, 28), "last": (2048, 7, 7), "embedding": (2048,)}),
        ("mobilenetv1_100", {"last": (1024, 7, 7)}),
        ("mixnet_l", {"last": (1536, 7, 7)}),
    ],
)
def test_published_maps_at_224_px(architecture, shapes):
    network = make(architecture, 224)
    assert {tap: network.shapes[tap] for tap in shapes} == shapes


def test_class_tokens_that_timm_does_not_count_are_left_out():
    network = make("coat_lite_tiny", 64)
    assert network.shapes["last"][1:] == network.shapes["stage4"][1:]


@pytest.mark.parametrize(("architecture", "size"), [("pit_ti_224", 224), ("crossvit_tiny_240", 240)])
def test_refuses_what_has_no_last_map(architecture, size):
    with pytest.raises(UserError, match=f"{architecture}.*no last map"):
        make(architecture, size)


def test_taps_carry_gradient():
    network = make("resnet10t", 32).train()
    network(torch.rand(2, 3, 32, 32)).maps["stage2"].sum().backward()
    assert network.model.layer2[0].conv1.weight.grad is not None
    assert network.model.layer4[0].conv1.weight.grad is None


class TestAdapter:
    def test_is_the_last_map_and_feeds_the_head(self):
        network = make("resnet18", 64, adapter=96).eval()
        outputs = network(torch.rand(2, 3, 64, 64))
        assert outputs.maps["last"].shape == (2, 96, 2, 2)
        assert outputs.maps["last"].min() >= 0
        assert outputs.maps["stage4"].shape == (2, 512, 2, 2)
        torch.testing.assert_close(outputs.embedding, outputs.maps["last"].mean(dim=(2, 3)))
        assert torch.equal(network.classifier(outputs.embedding), outputs.logits)

    @pytest.mark.parametrize("architecture", ["resnet18", "mobilenetv3_small_050", "convnext_atto"])
    def test_replaces_every_parameter_of_the_old_head(self, architecture):
        plain, adapted = make(architecture, 64), make(architecture, 64, adapter=32)
        last = plain.shapes["last"][0]
        features = {
            "resnet18": 512 * 2 + 2,
            "mobilenetv3_small_050": 288 * 1024 + 1024 + 1024 * 2 + 2,  # its head has a layer before the linear one
            "convnext_atto": 320 * 2 + 320 * 2 + 2,  # and convnext's a norm
        }
        expected = plain.parameters_count() - features[architecture] + last * 32 + 2 * 32 + 32 * 2 + 2
        assert adapted.parameters_count() == expected

    def test_every_parameter_learns_from_the_logits(self):
        network = make("mobilenetv3_small_050", 64, adapter=32).train()
        network(torch.rand(4, 3, 64, 64)).logits.square().sum().backward()
        assert all(parameter.grad is not None for parameter in network.parameters())

    def test_read_limits_hold(self):
        network = make("resnet10t", 32, adapter=16).eval()
        network.read = frozenset()
        assert not network(torch.rand(2, 3, 32, 32)).maps

    def test_keeps_the_trunk(self):
        plain, adapted = make("resnet10t", 32).eval(), make("resnet10t", 32, adapter=16).eval()
        images = torch.rand(2, 3, 32, 32)
        assert torch.equal(plain(images).maps["stage4"], adapted(images).maps["stage4"])


class TestReplacedHead:
    def head(self):
        return nn.Sequential(
            nn.Conv2d(512, 8, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
        )

    def test_gives_the_logits_from_the_last_map(self):
        network, head = make("resnet10t", 64).eval(), self.head()
        network.replace_head(head)
        outputs = network(torch.rand(2, 3, 64, 64))
        assert torch.equal(outputs.logits, head(outputs.maps["last"]))
        assert network.classifier is None

    def test_the_old_head_is_not_counted(self):
        network = make("resnet10t", 64)
        before = network.parameters_count()
        network.replace_head(self.head())
        assert network.parameters_count() == before - (512 * 2 + 2) + 512 * 8 + 8 * 2 + 2
