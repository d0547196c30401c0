import copy

import pytest
import torch

from preceptor.composed import load_network
from preceptor.errors import UserError
from preceptor.networks.build import build_network
from preceptor.networks.grafted import Chain, Grafted, as_one_convolution, resized_map
from preceptor.specs import NetworkSpec


def network(architecture, seed=0, **more):
    spec = NetworkSpec(architecture=architecture, weights="none", **more)
    return build_network(spec, task="classification", classes=("a", "b", "c"), image_size=(32, 32), seed=seed)


@pytest.fixture
def images():
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def host():
    net = network("resnet10t")
    net.freeze()
    return net


def identities(grafted):
    for adapter in grafted.adapters.values():
        torch.nn.init.dirac_(adapter.weight)
    return grafted


@pytest.mark.parametrize("replaced", [range(1), range(1, 2), range(3, 4), range(4, 5), range(3), range(5)])
def test_the_hosts_own_blocks_behind_identities_change_nothing(host, images, replaced):
    grafted = identities(Grafted(host, copy.deepcopy(host), replaced)).eval()
    assert torch.equal(grafted(images).logits, host(images).logits)
    if len(replaced) == 5:
        assert torch.equal(grafted.deployed()(images).logits, host(images).logits)


@pytest.mark.parametrize("student", ["test_resnet", "mobilenetv3_small_050"])
@pytest.mark.parametrize("number", range(5))
def test_one_block_and_its_adapters_learn_and_nothing_else(host, images, student, number):
    net = network(student, seed=1)
    grafted = Grafted(host, net, range(number, number + 1))
    untouched = {f"host {name}": tensor for name, tensor in host.state_dict().items()}
    own = {id(tensor) for tensor in (*grafted.parameters(), *grafted.buffers())}
    untouched |= {
        f"student {name}": tensor
        for name, tensor in (*net.named_parameters(), *net.named_buffers())
        if id(tensor) not in own
    }
    before = {name: tensor.detach().clone() for name, tensor in untouched.items()}
    learning = {name: p.detach().clone() for name, p in grafted.named_parameters()}
    optimizer = torch.optim.Adam(grafted.parameters(), lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        grafted.train()(images).logits.square().sum().backward()
        optimizer.step()

    assert all(torch.equal(tensor, before[name]) for name, tensor in untouched.items())
    assert all(parameter.grad is None for parameter in host.parameters())
    assert all(not torch.equal(parameter, learning[name]) for name, parameter in grafted.named_parameters())
    assert {name.split(".")[1] for name in learning if name.startswith("blocks")} == {str(number)}
    wanted = {f"t2s{number}"} if number else set()
    wanted |= {f"s2t{number}"} if number < 4 else set()
    assert set(grafted.adapters) == wanted


def test_adapters_have_a_bias_of_zero_and_the_channels_of_both(host):
    student = network("mobilenetv3_small_050")
    adapters = Grafted(host, student, range(2, 3)).adapters
    assert adapters["t2s2"].weight.shape[:2] == (student.shapes["stage2"][0], host.shapes["stage2"][0])
    assert adapters["s2t2"].weight.shape[:2] == (host.shapes["stage3"][0], student.shapes["stage3"][0])
    assert all((adapter.bias == 0).all() for adapter in adapters.values())


def test_maps_are_resized_where_host_and_student_meet_only(images):
    """A student that sees images twice as large: its maps are twice the host's, and stay so between its blocks."""
    host, student = network("test_resnet"), network("resnet10t", input_size=64)
    host.freeze()
    one = Grafted(host, student, range(1, 3)).eval()
    outputs = one(images)
    assert outputs.maps["stage1"].shape[-2:] == (8, 8)
    assert outputs.maps["stage2"].shape[-2:] == (8, 8)
    assert outputs.maps["stage3"].shape[-2:] == (4, 4)
    assert outputs.maps["stage4"].shape == (4, *host.shapes["stage4"])
    whole = Grafted(host, student, range(5)).eval()
    assert whole(images).maps["stage1"].shape[-2:] == (16, 16)


def test_resizing_and_a_1x1_convolution_change_places():
    """Averages and bilinear weights sum to 1, so a bias passes through."""
    torch.manual_seed(0)
    conv, x = torch.nn.Conv2d(3, 5, 1).double(), torch.randn(2, 3, 6, 6).double()
    for size in ((3, 3), (4, 4), (9, 9), (3, 12)):
        torch.testing.assert_close(conv(resized_map(x, size)), resized_map(conv(x), size))
        assert resized_map(x, size).shape[-2:] == size
    assert resized_map(x, (6, 6)) is x


def test_two_adapters_are_one_by_hand():
    first, second = torch.nn.Conv2d(2, 1, 1), torch.nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[2.0, 3.0]])[:, :, None, None])
        first.bias.fill_(5.0)
        second.weight.copy_(torch.tensor([[1.0], [-1.0]])[:, :, None, None])
        second.bias.copy_(torch.tensor([0.0, 7.0]))
    one = as_one_convolution(first, second)
    assert one.weight.flatten(1).tolist() == [[2.0, 3.0], [-2.0, -3.0]]
    assert one.bias.tolist() == [5.0, 2.0]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_folding_leaves_the_outputs_as_they_are(host, images, dtype, tolerance):
    grafted = Grafted(host, network("mobilenetv3_small_050", seed=1), range(5))
    torch.manual_seed(0)
    for adapter in grafted.adapters.values():
        torch.nn.init.normal_(adapter.bias)
    with torch.no_grad():
        for _ in range(3):
            grafted.train()(images)  # statistics that fit the maps
    grafted = grafted.to(dtype).eval()
    chain = grafted.deployed().to(dtype).eval()
    torch.testing.assert_close(
        chain(images.to(dtype)).logits, grafted(images.to(dtype)).logits, rtol=tolerance, atol=tolerance
    )
    assert isinstance(chain, Chain)
    assert not any("t2s" in name or "s2t" in name for name in chain.state_dict())


def test_the_chain_counts_the_student_and_four_joints(host):
    student = network("mobilenetv3_small_050")
    chain = Grafted(host, student, range(5)).deployed()
    widths = [student.shapes[f"stage{number}"][0] for number in range(1, 5)]
    assert chain.parameters_count() == student.parameters_count() + sum(width * (width + 1) for width in widths)
    assert not chain.has_new_head


def test_one_that_needs_its_host_is_not_deployed(host):
    grafted = Grafted(host, network("test_resnet"), range(4))
    assert grafted.deployed() is grafted


@pytest.mark.parametrize("architecture", ["mobilenetv3_small_050", "test_resnet"])
def test_saved_and_loaded_alone(tmp_path, host, images, architecture):
    chain = Grafted(host, network(architecture, seed=1, mean=(0.1, 0.2, 0.3)), range(5)).deployed().eval()
    chain.save(tmp_path / "S1")
    again = load_network(tmp_path / "S1")
    assert torch.equal(again(images).logits, chain(images).logits)
    assert again.blueprint.classes == chain.blueprint.classes
    assert again.shapes == chain.shapes
    with pytest.raises(UserError, match="that was grafted has layers between its blocks"):
        build_network(
            NetworkSpec(architecture=architecture, weights=str(tmp_path / "S1")),
            task="classification",
            classes=("a", "b", "c"),
            image_size=(32, 32),
            seed=0,
        )


def test_two_depths_of_stages_are_refused(host, monkeypatch):
    from preceptor.networks import grafted

    split = grafted.blocks_of
    monkeypatch.setattr(grafted, "blocks_of", lambda net: split(net)[: 4 if net is host else 5])
    with pytest.raises(UserError, match="there are resnet10t 4 and test_resnet 5"):
        Grafted(host, network("test_resnet"), range(1))
