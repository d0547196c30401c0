from functools import cache

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from preceptor.cohort.cohort import Cohort, DataFacts
from preceptor.composed import load_network
from preceptor.composed.base import answers, standing, unshared_networks
from preceptor.composed.exits import Branch, Exit
from preceptor.data.batches import Batch
from preceptor.errors import UserError
from preceptor.networks.build import build_network
from preceptor.networks.cost import cost_of
from preceptor.specs import NetworkSpec

IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
BATCH = Batch(
    images=IMAGES, targets=torch.tensor([0, 1, 2, 0]), positions=torch.arange(4), rows=torch.arange(4), whole=4
)
ARCHITECTURES = ["test_resnet", "mobilenetv3_small_050", "convnext_atto", "test_vit"]
MORE = ["resnet18", "mixnet_s", "densenet121", "efficientvit_b0"]
of_every_kind = pytest.mark.parametrize(
    "architecture", [*ARCHITECTURES, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)]
)


def network_of(architecture="test_resnet", task="classification", **more):
    spec = NetworkSpec(architecture=architecture, weights="none", **more)
    return build_network(spec, task=task, classes=("a", "b", "c"), image_size=(32, 32), seed=0)


@cache
def with_exits(architecture):
    """A network and all its exits, none of which is trained."""
    network = network_of(architecture)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        exits = {f"E{stage}": Exit({"S1": network}, stage=stage) for stage in range(1, len(network.stages))}
    return {"S1": network.eval(), **{name: one.eval() for name, one in exits.items()}}


def cohort_of(networks, **more):
    return Cohort(
        task="classification",
        networks=networks,
        transfers=(),
        task_loss=nn.CrossEntropyLoss(),
        facts=DataFacts(classes=3, batch_size=4),
        **more,
    )


def fresh(architecture="test_resnet", stages=(1, 2, 3)):
    network = network_of(architecture)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {"S1": network, **{f"E{stage}": Exit({"S1": network}, stage=stage) for stage in stages}}


@of_every_kind
@torch.no_grad()
def test_an_exit_answers_on_its_stage_map_with_the_width_of_the_last_stage(architecture):
    networks = with_exits(architecture)
    outputs = networks["S1"](IMAGES)
    last = outputs.maps[list(networks["S1"].stages)[-1]]
    for name in list(networks)[1:]:
        stage_map = outputs.maps[f"stage{name[1:]}"]
        found = networks[name].combine({"S1": outputs})
        assert found.maps["last"].shape[1:] == last.shape[1:]
        assert found.embedding.shape == (4, last.shape[1])
        torch.testing.assert_close(found.embedding, networks[name].branch.bottleneck(stage_map).mean(dim=(2, 3)))
        torch.testing.assert_close(found.logits, networks[name].branch.linear(found.embedding))


@of_every_kind
@torch.no_grad()
def test_deployed_it_says_the_same_without_what_comes_after(architecture, tmp_path):
    networks = standing(with_exits(architecture))
    whole, said = cost_of(networks["S1"]), answers(networks, IMAGES)
    costs = []
    for name in list(networks)[1:]:
        deployed = networks[name].deployed()
        assert torch.equal(deployed(IMAGES).logits, said[name].logits)
        costs.append(cost_of(deployed))
        deployed.save(tmp_path / name)
        again = load_network(tmp_path / name)
        assert torch.equal(again(IMAGES).logits, said[name].logits)
        assert cost_of(again) == costs[-1]
        assert not (tmp_path / name / "sources").exists()
    trunks = [cost.multiply_adds - branch_cost(networks[f"E{n}"]) for n, cost in enumerate(costs, start=1)]
    assert trunks == sorted(trunks)
    assert all(cost < whole.multiply_adds for cost in trunks)


def branch_cost(one):
    """Multiply-adds of the convolutions and the linear layer, from their sizes."""
    network = one.sources["S1"]
    _, height, width = network.shapes[one.tap]
    first, middle, last = (layer for layer in one.branch.bottleneck if isinstance(layer, nn.Conv2d))
    after = (height // one.stride[0]) * (width // one.stride[1])
    count = height * width * first.weight.numel() + after * (middle.weight.numel() + last.weight.numel())
    return count + one.branch.linear.weight.numel()


def test_the_trunk_holds_the_stages_up_to_the_exit_and_nothing_else(tmp_path):
    """Counted by hand from the names of a ResNet's parameters."""
    networks = standing(with_exits("test_resnet"))
    networks["E2"].deployed().save(tmp_path)
    kept = {name.removeprefix("trunk.model.") for name in load_file(tmp_path / "model.safetensors") if "trunk" in name}
    parts = ("conv1", "bn1", "layer1", "layer2")
    assert kept == {name for name in networks["S1"].model.state_dict() if name.split(".")[0] in parts}


def test_its_own_loss_trains_the_stages_up_to_it_and_no_others():
    networks = fresh()
    terms = cohort_of(networks, task_weights={"S1": 0.0, "E1": 0.0, "E3": 0.0}).train()(BATCH, 1, 0)
    assert set(terms) == {"E2/task"}
    terms["E2/task"].backward()
    moved = {name.split(".")[0] for name, p in networks["S1"].model.named_parameters() if p.grad is not None}
    assert moved == {"conv1", "bn1", "layer1", "layer2"}
    assert all(parameter.grad is not None for parameter in networks["E2"].branch.parameters())


def test_the_network_runs_once_a_step_however_many_exits_it_has():
    networks = fresh()
    calls = []
    networks["S1"].register_forward_hook(lambda *_: calls.append("S1"))
    cohort = cohort_of(networks).train()
    calls.clear()
    cohort(BATCH, 1, 0)
    assert calls == ["S1"]


def test_the_gradient_is_that_of_one_network_with_several_heads():
    networks = fresh()
    terms = cohort_of(networks).train()(BATCH, 1, 0)
    torch.stack(tuple(terms.values())).sum().backward()
    found = next(networks["S1"].parameters()).grad.clone()

    again = fresh()
    outputs = again["S1"].train()(IMAGES)
    losses = [nn.functional.cross_entropy(outputs.logits, BATCH.targets)]
    for stage in (1, 2, 3):
        logits = again[f"E{stage}"].train().branch(outputs.maps[f"stage{stage}"]).logits
        losses.append(nn.functional.cross_entropy(logits, BATCH.targets))
    torch.stack(losses).sum().backward()
    torch.testing.assert_close(found, next(again["S1"].parameters()).grad)


def test_every_parameter_has_one_owner():
    cohort = cohort_of(fresh())
    owned = cohort.owned()
    every = [id(parameter) for parameters in owned.values() for parameter in parameters]
    assert len(every) == len(set(every)) == len(list(cohort.parameters()))
    assert not any("sources" in name for name in cohort.state_dict())


def test_an_exit_can_be_deployed_with_weights_of_its_own_epoch():
    """What is deployed belongs to the copy whose weights were loaded, not to the cohort."""
    networks = fresh(stages=(2,))
    kept = unshared_networks(networks)["E2"]
    kept.load_state_dict({key: torch.zeros_like(value) for key, value in kept.state_dict().items()})
    deployed = kept.deployed()
    assert all(parameter.eq(0).all() for parameter in deployed.parameters())
    assert next(networks["S1"].parameters()).abs().sum() > 0


def test_the_middle_convolution_never_goes_below_one_position():
    branch = Branch(channels=8, stride=(1, 1), width=16, classes=3).eval()
    assert branch(torch.rand(2, 8, 1, 1)).maps["last"].shape == (2, 16, 1, 1)
    assert Exit({"S1": network_of("test_vit")}, stage=1).stride == (1, 1)
    assert Exit({"S1": network_of("test_resnet")}, stage=1).stride == (8, 8)


@pytest.mark.parametrize("stage", [0, 4, 9])
def test_other_stages_are_refused(stage):
    with pytest.raises(UserError, match=rf"S1 \(test_resnet\) has no exit {stage}: .* exits 1 to 3; the last stage"):
        Exit({"S1": network_of()}, stage=stage)


def test_networks_for_masks_are_refused():
    options = {"encoder": "resnet10t", "options": {"decoder_channels": [16, 8, 8, 8, 8]}}
    with pytest.raises(UserError, match="a segmenter has no exits"):
        Exit({"S1": network_of("unet", "segmentation", **options)}, stage=1)
