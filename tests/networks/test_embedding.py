"""Embeddings: what timm pools, class token and patches, registers in neither."""

import pytest
import torch

from preceptor.errors import UserError
from preceptor.networks.blueprint import PlainSight
from preceptor.networks.build import build_network
from preceptor.networks.embedding import embed, embedding_width, prefix_tokens, token_grid
from preceptor.networks.wrap import Wrapped
from preceptor.specs import NetworkSpec

VIT = {"depth": 2, "embed_dim": 24, "num_heads": 2, "patch_size": 8, "reg_tokens": 4, "no_embed_class": True}


def made(architecture, options=None, encoder=None, size=32):
    spec = NetworkSpec(architecture=architecture, encoder=encoder, weights="none", options=options or {})
    task = "segmentation" if encoder else "classification"
    return build_network(spec, task=task, classes=["a", "b", "c"], image_size=(size, size), seed=3)


@pytest.fixture(scope="module")
def vit():
    return made("vit_tiny_patch16_224", VIT)


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("architecture", ["resnet10t", "efficientnet_lite0"])
def test_the_embedding_of_a_timm_model_is_what_its_classifier_reads(architecture, images):
    network = made(architecture)
    model = network.model.eval()
    plain = model.forward_head(model.forward_features((images - network.mean) / network.std), pre_logits=True)
    network.train()
    assert torch.equal(embed(network, images), plain.detach())
    assert (network.training, network.read) == (True, None), "the network is left as it was"
    assert embedding_width(network) == plain.shape[1]


def test_the_embedding_of_a_segmenter_is_its_deepest_map_pooled(images):
    network = made("unet", encoder="resnet10t", size=64)
    larger = torch.nn.functional.interpolate(images, size=64)
    deepest = network.model.eval().encoder((larger - network.mean) / network.std)[-1]
    assert torch.allclose(embed(network, larger), deepest.mean((2, 3)))


def test_class_token_and_mean_of_patches_without_registers(vit, images):
    tokens = vit.model.eval().forward_features((images - vit.mean) / vit.std).detach()
    assert tokens.shape == (2, 1 + 4 + 16, 24)
    assert prefix_tokens(vit) == 5
    assert torch.equal(embed(vit, images, "cls"), tokens[:, 0])
    assert torch.equal(embed(vit, images, "cls+mean"), torch.cat([tokens[:, 0], tokens[:, 5:].mean(dim=1)], dim=1))
    assert not torch.allclose(embed(vit, images, "cls+mean")[:, 24:], tokens[:, 1:].mean(dim=1), atol=1e-4)
    assert torch.equal(token_grid(vit, images), tokens[:, 5:].transpose(1, 2).reshape(2, 24, 4, 4))
    assert [embedding_width(vit, pooling) for pooling in ("own", "cls", "cls+mean")] == [24, 24, 48]


def test_normalisation_of_another_network_gives_other_embeddings(vit, images):
    other = made("vit_tiny_patch16_224", VIT)
    other.load_state_dict(vit.state_dict())
    assert torch.equal(embed(other, images), embed(vit, images))
    other.mean.fill_(0.7)
    assert torch.nn.functional.cosine_similarity(embed(other, images), embed(vit, images)).max() < 0.9999


def test_a_wrong_number_of_prefix_tokens_is_refused(vit, images):
    embed(vit, images, "cls", prefix=5)
    with pytest.raises(UserError, match=r"puts 5 tokens .* 1 were expected"):
        embed(vit, images, "cls+mean", prefix=1)


def test_a_network_without_class_token_or_embedding_is_named(images):
    with pytest.raises(UserError, match="'resnet10t' has no class token"):
        embed(made("resnet10t"), images, "cls")
    whole = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    with pytest.raises(UserError, match="no vector before its logits"):
        embed(Wrapped(whole, sight=PlainSight(image_size=(32, 32))), images)
