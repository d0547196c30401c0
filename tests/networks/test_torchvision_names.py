"""torchvision's own state dicts in timm's networks: the answers are torchvision's."""

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from preceptor.errors import UserError
from preceptor.networks.build import build_network
from preceptor.specs import NetworkSpec


def theirs(name, outputs=2):
    """A network of torchvision with running means and variances that are not those of a new one."""
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None, num_classes=outputs).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.001, 1.5)  # so small that what is added to it matters
    return model


def ours(architecture, weights, task="classification", **more):
    spec = NetworkSpec(architecture=architecture, weights=str(weights), **more)
    return build_network(spec, task=task, classes=("a", "b"), image_size=(32, 32), seed=0)


def plain(state, path):
    torch.save(state, path)


def wrapped(state, path):
    torch.save({"epoch": 1, "model": {f"module.{name}": tensor for name, tensor in state.items()}}, path)


@pytest.mark.parametrize(
    ("name", "architecture", "save"),
    [
        ("resnet18", "resnet18", plain),
        ("mobilenet_v3_small", "mobilenetv3_small_100", wrapped),
        ("mobilenet_v2", "mobilenetv2_100", save_file),
        pytest.param("mobilenet_v3_large", "mobilenetv3_large_100", save_file, marks=pytest.mark.slow),
        pytest.param("efficientnet_b0", "efficientnet_b0", plain, marks=pytest.mark.slow),
        pytest.param("efficientnet_b5", "efficientnet_b5", plain, marks=pytest.mark.slow),
        pytest.param("efficientnet_v2_s", "efficientnetv2_s", plain, marks=pytest.mark.slow),
        pytest.param("mnasnet1_0", "mnasnet_100", plain, marks=pytest.mark.slow),
        pytest.param("convnext_tiny", "convnext_tiny", save_file, marks=pytest.mark.slow),
        pytest.param("densenet121", "densenet121", plain, marks=pytest.mark.slow),
        pytest.param("vgg11", "vgg11", plain, marks=pytest.mark.slow),
        pytest.param("vgg11_bn", "vgg11_bn", plain, marks=pytest.mark.slow),
    ],
)
def test_the_answers_are_torchvisions(name, architecture, save, tmp_path):
    model = theirs(name)
    file = tmp_path / ("w.safetensors" if save is save_file else "w.pth")
    save(model.state_dict(), file)
    network = ours(architecture, file, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    side = 224 if name.startswith("vgg") else 64  # torchvision's VGG pools to 7 x 7 first
    images = torch.rand(2, 3, side, side)
    with torch.no_grad():
        torch.testing.assert_close(network.model.eval()(images), model(images), rtol=1e-4, atol=1e-5)
    said = " ".join(network.notes)
    assert (f"torchvision's {name} as timm's" in said) == (name not in ("resnet18", "densenet121"))
    assert ("running variances with 0.00099 added" in said) == (
        name.startswith(("mobilenet_v3", "efficientnet_b5", "efficientnet_v2"))
    )


def test_an_encoder_takes_them_too(tmp_path):
    model = theirs("mobilenet_v3_small", outputs=1000)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    network = ours("unet", tmp_path / "w.pth", task="segmentation", encoder="tu-mobilenetv3_small_100")
    kernel = network.model.encoder.model.conv_stem.weight
    assert torch.equal(kernel, model.features[0][0].weight)
    assert "torchvision's mobilenet_v3_small" in " ".join(network.notes)


def test_where_no_rule_is_known_the_way_out_is_said(tmp_path):
    torch.save(theirs("shufflenet_v2_x0_5").state_dict(), tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"torchvision\.models:NAME"):
        ours("resnet18", tmp_path / "w.pth")
