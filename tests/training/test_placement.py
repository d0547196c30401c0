import pytest
import torch

from preceptor.networks.build import build_network
from preceptor.recipe import NetworkSpec
from preceptor.training import placement
from preceptor.training.placement import choose, place

PLAIN, LAST, HALF = (False, False), (True, False), (False, True)


@pytest.mark.parametrize(
    ("times", "best"),
    [
        ({PLAIN: 1.0, LAST: 0.5}, LAST),
        ({PLAIN: 1.0, LAST: 0.97}, PLAIN),  # noise
        ({PLAIN: 1.0, LAST: 1.5, HALF: 5.0}, PLAIN),
        ({PLAIN: 1.0, LAST: 0.9, HALF: 0.4}, HALF),
    ],
)
def test_the_plain_way_unless_another_is_clearly_faster(times, best):
    found = choose(times)
    assert (found.channels_last, found.half) == best
    assert len(found.times) == len(times)


@pytest.fixture
def network():
    spec = NetworkSpec(architecture="test_resnet", weights="none")
    return build_network(spec, task="classification", classes=("a", "b"), image_size=(32, 32), seed=0)


def test_measuring_leaves_the_network_as_it_was(network):
    state = {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.get_rng_state()
    found = place(network, 4, trains=True, precision=torch.bfloat16)
    assert len(found.times) == 4
    assert all(seconds > 0 for seconds in found.times.values())
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), random)


def test_what_was_measured_is_remembered(network, monkeypatch):
    found = place(network, 4, trains=False, precision=None)
    monkeypatch.setattr(placement, "_times", lambda *_: pytest.fail("measured again"))
    assert place(network, 4, trains=False, precision=None) == found
    with pytest.raises(pytest.fail.Exception):
        place(network, 8, trains=False, precision=None)
