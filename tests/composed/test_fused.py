"""The fused classifier and the mean of logits, on small real networks of different families."""

import pytest
import torch

from preceptor.composed import load_network
from preceptor.composed.fused import FusedClassifier, pairs_of
from preceptor.composed.mean import MeanLogits
from preceptor.errors import UserError
from preceptor.networks.build import build_network, seeded
from preceptor.networks.outputs import Outputs
from preceptor.specs import NetworkSpec

FAMILIES = {"A": "test_resnet", "B": "mobilenetv3_small_050", "C": "test_efficientnet"}
CLASSES = ("a", "b", "c")


def network(name, **more):
    return build_network(
        NetworkSpec(architecture=FAMILIES[name], weights="none", **more),
        task="classification",
        classes=CLASSES,
        image_size=(64, 64),
        seed=ord(name),
    )


@pytest.fixture(scope="module")
def peers():
    return {name: network(name) for name in "AB"}


@pytest.fixture(scope="module")
def images():
    return torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def fused_on(sources, **options):
    with seeded(0):
        return FusedClassifier(sources, **options)


def test_it_is_the_composition_of_its_parts(peers, images):
    """Two levels of two networks written out: four blocks, in a fixed order, on projected maps."""
    fused = fused_on(peers).eval()
    said = {name: peer.eval()(images) for name, peer in peers.items()}

    fine_a, deep_a = (fused.projections["A"][i](said["A"].maps[f"stage{i + 3}"]) for i in (0, 1))
    fine_b, deep_b = (fused.projections["B"][i](said["B"].maps[f"stage{i + 3}"]) for i in (0, 1))
    pairs = [(fine_a, fine_b), (fine_a, deep_b), (deep_a, fine_b), (deep_a, deep_b)]
    pooled = [block(*pair).mean(dim=(2, 3)) for block, pair in zip(fused.blocks, pairs, strict=True)]
    expected = torch.cat(pooled, dim=1) @ fused.linear.weight.T + fused.linear.bias

    torch.testing.assert_close(fused.combine(said).logits, expected)
    assert (fine_a.shape[1], deep_a.shape[1]) == (24, 96)  # the narrower of 192 and 24, of 96 and 288
    assert [p.shape[1] for p in pooled] == [24, 24, 24, 96]


def test_no_level_is_wider_than_256(tiny):
    wide = {"A": tiny(1, width=300), "B": tiny(2, width=400)}
    fused = fused_on(wide, levels=1)
    assert fused.linear.in_features == 256
    assert fused_on({**wide, "B": tiny(2, width=100)}, levels=1).linear.in_features == 100


@pytest.mark.parametrize(
    ("sources", "levels", "cross_level", "count"),
    [(2, 2, False, 2), (2, 2, True, 4), (2, 3, False, 3), (2, 3, True, 7), (3, 2, True, 12), (2, 1, True, 1)],
)
def test_pairs(sources, levels, cross_level, count):
    found = pairs_of(tuple("ABC"[:sources]), levels, cross_level=cross_level)
    assert len(set(found)) == len(found) == count
    for (one, level), (other, other_level) in found:
        assert one < other
        assert abs(level - other_level) <= (1 if cross_level else 0)


@pytest.mark.parametrize("detach_maps", [True, False])
def test_what_flows_back_into_the_sources(peers, images, detach_maps):
    fused = fused_on(peers, detach_maps=detach_maps).train()
    said = {name: peer.train()(images) for name, peer in peers.items()}
    found = torch.autograd.grad(
        fused.combine(said).logits.square().sum(),
        [next(peer.parameters()) for peer in peers.values()],
        allow_unused=True,
    )
    assert [gradient is None for gradient in found] == [detach_maps, detach_maps]
    assert detach_maps or all(gradient.abs().sum() > 0 for gradient in found)


def test_maps_of_different_sizes_are_fused(images):
    """One network sees the images at 32 pixels, the other at 64."""
    sources = {"A": network("A", input_size=32), "B": network("B")}
    said = {name: source.eval()(images) for name, source in sources.items()}
    assert said["A"].maps["stage3"].shape[2] != said["B"].maps["stage3"].shape[2]
    assert fused_on(sources, levels=3).eval().combine(said).logits.shape == (4, 3)


def test_one_image_is_enough_in_training(peers):
    """Of maps of one position, for which plain batch normalisation finds no variance."""
    maps = {
        name: {tap: torch.rand(peer.shapes[tap][0], 1, 1)[None] for tap in ("stage3", "stage4")}
        for name, peer in peers.items()
    }
    said = {name: Outputs(None, None, maps[name]) for name in peers}
    assert fused_on(peers).train().combine(said).logits.isfinite().all()


@pytest.mark.parametrize("count", [2, 3])
def test_exported_it_stands_alone(tmp_path, images, count):
    sources = {name: network(name) for name in "ABC"[:count]}
    fused = fused_on(sources, levels=3, cross_level=False, detach_maps=True)
    whole = fused.alone(sources).eval()
    whole.save(tmp_path / "F")
    again = load_network(tmp_path / "F")
    torch.testing.assert_close(again(images).logits, whole(images).logits, rtol=0, atol=0)
    own = sum(p.numel() for p in fused.parameters())
    assert own > 0
    assert again.parameters_count() == own + sum(source.parameters_count() for source in sources.values())
    assert again.options() == {"levels": 3, "cross_level": False, "detach_maps": True}


def test_networks_with_too_few_stages_are_refused(tiny, peers):
    with pytest.raises(UserError, match=r"C \(tiny\) has 1 stages, 2 levels are to be fused"):
        FusedClassifier({**peers, "C": tiny(1)}, levels=2)


def test_the_mean_of_logits(tmp_path, peers, images):
    mean = MeanLogits(peers)
    said = {"A": Outputs(torch.tensor([[1.0, 2.0]]), None), "B": Outputs(torch.tensor([[3.0, -2.0]]), None)}
    torch.testing.assert_close(mean.combine(said).logits, torch.tensor([[2.0, 0.0]]))
    assert not list(mean.parameters())
    assert not mean.has_new_head
    whole = mean.alone(peers).eval()
    whole.save(tmp_path / "E")
    torch.testing.assert_close(load_network(tmp_path / "E")(images).logits, whole(images).logits, rtol=0, atol=0)
