import pytest
import torch
from torch import nn

from preceptor.machine.fold import with_folded_norms
from preceptor.networks.build import build_network
from preceptor.networks.outputs import Outputs
from preceptor.specs import NetworkSpec


def frozen(architecture, encoder=None):
    """A network whose BatchNorms have seen images and do more than the identity."""
    spec = NetworkSpec(architecture=architecture, encoder=encoder, weights="none")
    task = "segmentation" if encoder else "classification"
    network = build_network(spec, task=task, classes=("a", "b"), image_size=(64, 64), seed=0)
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.weight.data, module.running_var):
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
            for value in (module.bias.data, module.running_mean):
                value.copy_(torch.randn(value.shape, generator=generator) / 10)
    network.freeze()
    return network


def norms(network):
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def tensors(outputs):
    return {"logits": outputs.logits, "embedding": outputs.embedding, **outputs.maps}


@pytest.mark.parametrize(
    ("architecture", "encoder"),
    [("resnet10t", None), ("efficientnet_b0", None), ("mobilenetv3_small_050", None), ("unet", "resnet10t")],
)
@torch.no_grad()
def test_every_answer_is_the_same_with_fewer_steps(architecture, encoder):
    network = frozen(architecture, encoder)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    twin = with_folded_norms(network)
    assert norms(twin) == 0 < norms(network)
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    was, now = tensors(network(images)), tensors(twin(images))
    assert was.keys() == now.keys()
    for name in was:
        torch.testing.assert_close(now[name], was[name], rtol=1e-4, atol=1e-5 * float(was[name].abs().max()))


def test_nothing_to_fold():
    network = frozen("convnext_atto")
    assert with_folded_norms(network) is network


class Read(nn.Module):
    """A network in which somebody reads what the convolution gives before its BatchNorm, or calls it twice."""

    def __init__(self, twice):
        super().__init__()
        self.conv, self.norm, self.twice = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3).eval(), twice
        self.norm.running_mean.fill_(0.5)

    def made_up_image(self):
        return torch.rand(1, 3, 8, 8)

    def forward(self, images):
        raw = self.conv(self.conv(images)) if self.twice else self.conv(images)
        maps = {} if self.twice else {"stage1": raw}
        normed = self.norm(raw)
        return Outputs(normed.mean((2, 3)), normed.mean((2, 3)), maps)


@pytest.mark.parametrize("twice", [False, True])
def test_what_folding_would_change_stays(twice):
    network = Read(twice)
    assert with_folded_norms(network) is network
