"""Reading submodules while a block runs."""

import pytest
import torch
from torch import nn

import preceptor as pc
from preceptor.errors import UserError


def model(*, inplace=False):
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=inplace), nn.Flatten())


def hooks(module):
    return sum(len(part._forward_hooks) for part in module.modules())


def test_what_submodules_return_and_nothing_stays_behind():
    net, images = model(), torch.rand(2, 3, 5, 5)
    with pc.taps(net, ["0", "1"]) as t:
        net(images)
        assert torch.equal(t["0"], net[0](images))
        assert t["1"].requires_grad
        assert hooks(net) == 2
    assert hooks(net) == 0


def test_hooks_go_when_the_block_fails():
    net = model()
    with pytest.raises(RuntimeError), pc.taps(net, ["0"]):
        raise RuntimeError
    assert hooks(net) == 0


@pytest.mark.parametrize(("name", "words"), [("features.O", "near are .*features.0"), ("", "it has features")])
def test_a_wrong_name_is_answered_with_what_there_is(name, words):
    net = nn.Module()
    net.features = model()
    with pytest.raises(UserError, match=words), pc.taps(net, [name]):
        pass
    assert hooks(net) == 0


def test_what_is_no_answer_is_refused():
    net = model(inplace=True)
    with pc.taps(net, ["0"]) as t:
        with pytest.raises(UserError, match="call the model first"):
            t["0"]
        with pytest.raises(UserError, match="this block reads 0"):
            t["1"]
        net(torch.rand(2, 3, 5, 5))
        with pytest.raises(UserError, match="overwritten"):
            t["0"]
        with torch.inference_mode():
            net(torch.rand(2, 3, 5, 5))
    with pytest.raises(UserError, match=r"\[\"0\"\]"), pc.taps(net, "0"):
        pass
