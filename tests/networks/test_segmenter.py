"""smp models with taps: their own logits, the right maps."""

import copy

import pytest
import segmentation_models_pytorch as smp
import torch

from preceptor.errors import UserError
from preceptor.networks.build import build_network
from preceptor.specs import NetworkSpec


def make(architecture="unet", encoder="resnet10t", size=64, classes=("background", "tumour"), weights="none", **spec):
    return build_network(
        NetworkSpec(architecture=architecture, encoder=encoder, weights=weights, **spec),
        task="segmentation",
        classes=classes,
        image_size=(size, size),
        seed=1,
    )


@pytest.mark.parametrize(
    ("architecture", "encoder", "decoder1"),
    [
        ("unet", "resnet18", True),
        ("unet", "mobilenetv1_100", True),
        ("unetplusplus", "resnet10t", True),
        ("manet", "resnet10t", True),
        ("linknet", "resnet10t", True),
        ("fpn", "resnet10t", False),
        ("deeplabv3plus", "resnet18", False),
        ("segformer", "mit_b0", False),
        ("upernet", "convnext_atto", False),
    ],
)
def test_logits_are_exactly_the_plain_models(architecture, encoder, decoder1):
    network = make(architecture, encoder).eval()
    name = encoder if encoder in smp.encoders.get_encoder_names() else f"tu-{encoder}"
    plain = smp.create_model(architecture, name, encoder_weights=None, classes=1).eval()
    plain.load_state_dict(network.model.state_dict())
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        outputs = network(images)
        assert torch.equal(outputs.logits, plain((images - network.mean) / network.std))
    assert ("decoder1" in outputs.maps) == decoder1
    assert {"stage1", "stage2", "stage3", "stage4", "last", "decoder"} <= set(outputs.maps)


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenetv1_100"])
def test_first_decoder_block_at_256_px(encoder):
    network = make(encoder=encoder, size=256)
    assert network.shapes["decoder1"] == (256, 16, 16)
    assert network.shapes["decoder"] == (16, 256, 256)
    assert [network.shapes[f"stage{number}"][-1] for number in (1, 2, 3, 4)] == [64, 32, 16, 8]


def test_taps_are_what_the_modules_return():
    network = make().eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        outputs = network(images)
        features = network.model.encoder(network.prepare(images))
        decoded = network.model.decoder(features)
    assert torch.equal(outputs.maps["last"], features[-1])
    assert torch.equal(outputs.maps["stage1"], features[2])
    assert torch.equal(outputs.maps["decoder"], decoded)
    assert torch.equal(network.model.segmentation_head(decoded), outputs.logits)
    torch.testing.assert_close(outputs.embedding, features[-1].mean(dim=(2, 3)))


def test_two_classes_are_one_channel_and_more_are_one_each():
    assert make().shapes["logits"] == (1, 64, 64)
    assert make(classes=("background", "a", "b")).shapes["logits"] == (3, 64, 64)


def test_a_shallow_encoder_has_fewer_stages():
    network = make(options={"encoder_depth": 3, "decoder_channels": [64, 32, 16]})
    assert [tap for tap in network.taps if tap.startswith("stage")] == ["stage1", "stage2", "stage3"]
    assert network.shapes["last"] == network.shapes["stage3"]


def test_read_limits_the_maps():
    network = make().eval()
    network.read = frozenset({"decoder1"})
    assert list(network(torch.rand(1, 3, 64, 64)).maps) == ["decoder1"]


def test_nothing_is_kept_after_a_call():
    network = make().eval()
    network(torch.rand(1, 3, 64, 64))
    assert network._caught == {}


def test_a_copy_has_taps_of_its_own():
    network = make().eval()
    twin = copy.deepcopy(network)
    with torch.no_grad():
        twin.model.encoder.model.conv1[0].weight.zero_()
    images = torch.rand(1, 3, 64, 64)
    assert twin(images).maps["decoder1"].shape == network(images).maps["decoder1"].shape
    assert not torch.equal(twin(images).maps["decoder1"], network(images).maps["decoder1"])


def test_an_encoder_begins_with_what_a_network_without_classes_learned(tmp_path):
    """As it was saved, with the normalisation that it learned with."""
    spec = NetworkSpec(architecture="resnet10t", weights="none", mean=(0.1, 0.2, 0.3))
    learned = build_network(spec, task="classification", classes=(), image_size=(64, 64), seed=1)
    with torch.no_grad():
        learned.model.conv1[0].weight.fill_(0.25)
    learned.save(tmp_path)
    twin = make(weights=str(tmp_path))
    assert (twin.model.encoder.model.conv1[0].weight == 0.25).all()
    assert twin.blueprint.mean == (0.1, 0.2, 0.3)
    assert twin.has_new_head
    with pytest.raises(UserError, match="saved from resnet10t, not from unet with encoder tu-resnet14t"):
        make(encoder="tu-resnet14t", weights=str(tmp_path))
