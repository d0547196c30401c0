"""Any module as a network: what a pass of an image tells of it, what is refused, and what is exported."""

import copy
import json

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from preceptor.composed import load_network
from preceptor.errors import DamagedFileError, UserError
from preceptor.networks.blueprint import PlainSight
from preceptor.networks.build import build_network, mean_of
from preceptor.networks.wrap import Wrapped
from preceptor.specs import NetworkSpec

from ..own_things import MASKS, NETWORK

SIZE = (32, 32)


@pytest.fixture
def mine(tmp_path):
    """``file.py:MyNet``."""
    (tmp_path / "mynet.py").write_text(NETWORK)
    return f"{tmp_path / 'mynet.py'}:MyNet"


def built(architecture, *, task="classification", classes=("a", "b", "c"), adapter=None, **spec):
    spec = NetworkSpec(architecture=architecture, **spec)
    return build_network(spec, task=task, classes=classes, image_size=SIZE, seed=0, adapter=adapter)


def test_shapes_logits_and_names_of_taps(mine):
    network = built(mine, taps=("early", "late"), options={"width": 4})
    assert network.shapes == {
        "logits": (3,),
        "embedding": (8,),
        "stage1": (4, 16, 16),
        "stage2": (8, 8, 8),
        "early": (4, 16, 16),
        "late": (8, 8, 8),
        "last": (8, 8, 8),
    }
    images = torch.rand(2, 3, *SIZE)
    said = network(images)
    normal = (images - torch.tensor(network.blueprint.mean).reshape(1, 3, 1, 1)) / network.std
    torch.testing.assert_close(said.logits, network.module(normal))
    torch.testing.assert_close(network.module.fc(said.embedding), said.logits)
    assert network.classifier is network.module.fc
    assert said.at("stages")[0] is said.maps["early"]
    assert network.has_new_head
    assert not network.is_stochastic


def test_only_taps_that_are_read_are_given(mine):
    network = built(mine, taps=("early", "late"))
    network.read = frozenset({"late"})
    assert set(network(torch.rand(2, 3, *SIZE)).maps) == {"late"}
    network.read = frozenset({"stages"})
    assert set(network(torch.rand(2, 3, *SIZE)).maps) == {"stage1", "stage2"}


def test_the_same_seed_makes_the_same_network_and_copies_stand_alone(mine):
    one, other = built(mine, taps=("late",)), built(mine, taps=("late",))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    twin = copy.deepcopy(one)
    twin.module.late[0].weight.data.zero_()
    images = torch.rand(2, 3, *SIZE)
    assert not torch.equal(twin.eval()(images).maps["late"], one.eval()(images).maps["late"])


def test_modules_that_are_called_stages_keep_their_names():
    module = nn.Sequential()
    for number, name in enumerate(["stage2", "stage3"]):
        module.add_module(name, nn.Conv2d(3 if not number else 4, 4, 3, stride=2))
    module.add_module("end", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)))
    network = Wrapped(module, ["stage2", "stage3"], sight=PlainSight(image_size=SIZE))
    assert set(network.shapes) == {"logits", "embedding", "stage2", "stage3", "last"}


def test_a_module_alone_is_wrapped_as_it_is_but_has_no_blueprint():
    """As any module can come into a cohort: no normalisation, as many channels as it is told."""
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    network = Wrapped(module, ["0"], sight=PlainSight(image_size=SIZE, mean=(0.0,), std=(1.0,))).eval()
    images = torch.rand(2, 1, *SIZE)
    assert torch.equal(network(images).logits, module(images))
    assert network.train().is_stochastic
    with pytest.raises(UserError, match="has no blueprint"):
        network.save("anywhere")


def test_without_taps_and_linear_layer_there_is_no_embedding(tmp_path):
    (tmp_path / "masks.py").write_text(MASKS)
    network = built(f"{tmp_path / 'masks.py'}:Masks", task="segmentation", classes=("background", "gland"))
    assert network.shapes == {"logits": (1, 32, 32)}
    with pytest.raises(KeyError, match="no tap 'embedding'; this network has logits"):
        network(torch.rand(1, 3, *SIZE)).at("embedding")


def test_what_it_draws_and_what_it_normalises_is_found_by_trying():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.fc = nn.BatchNorm1d(3), nn.Linear(3, 2)

        def forward(self, images):
            pooled = images.mean(dim=(2, 3))
            return self.fc(self.norm(nn.functional.dropout(pooled, 0.3, self.training)))

    network = Wrapped(Odd(), sight=PlainSight(image_size=SIZE))
    assert network.is_stochastic
    assert network.needs_pairs
    assert network.shapes["embedding"] == (3,)


@pytest.mark.parametrize(
    ("text", "spec", "message"),
    [
        ("", {"taps": ("lat",)}, "no module 'lat' to tap; it has early, early.0"),
        ("", {"taps": ("fc",)}, r"the tap 'fc' gives shape \(1, 3\); a feature map"),
        ("", {"options": {"width": "wide"}}, r"cannot be made with options .*mynet.py, line \d+, in"),
        ("", {"adapter": 4}, "no convolution"),
        ("num_classes: int->outputs: int = 7", {}, "its logits have the shape"),
        ("return self.fc(self.late->return (self.fc, self.late", {}, "forward returned tuple"),
        ("self.late(self.early(images))->self.late(self.early(images[:, :1]))", {}, "cannot take images of 32×32 px"),
        ("nn.ReLU())->nn.ReLU(inplace=True))", {"taps": ("early.1",)}, "'early.1' is overwritten by the module after"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(text, spec, message, tmp_path):
    old, arrow, new = text.partition("->")
    source = NETWORK.replace(old, new) if arrow else NETWORK
    source = source.replace("num_classes)\n", "outputs)\n") if "outputs" in new else source
    (tmp_path / "mynet.py").write_text(source)
    with pytest.raises(UserError, match=message):
        built(f"{tmp_path / 'mynet.py'}:MyNet", **spec)


def test_specs_that_cannot_be_meant():
    for given, message in (
        ({"architecture": "resnet18", "taps": ["layer1"]}, "taps are for networks of your own"),
        ({"architecture": "a.py:B", "weights": "imagenet"}, "no ImageNet weights are known"),
        ({"architecture": "a.py:B", "encoder": "resnet18"}, "is a whole network"),
        ({"architecture": "a.py:B", "taps": ["a", "a"]}, "names a module twice"),
    ):
        with pytest.raises(ValueError, match=message):
            NetworkSpec(**given)
    assert NetworkSpec(architecture="a.py:B").weights == "none"
    assert mean_of(NetworkSpec(architecture="a.py:B"), "classification") == (0.485, 0.456, 0.406)


def test_an_exported_folder_stands_alone(mine, tmp_path):
    network = built(mine, taps=("early", "late"), options={"width": 4}, mean=(0.5, 0.5, 0.5)).eval()
    network.save(tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architecture"].startswith("MyNet(num_classes=3, width=4) of mynet.py takes model.safetensors")
    assert str(tmp_path) not in json.dumps(config)
    space = {}
    exec((tmp_path / "out" / "mynet.py").read_text(), space)
    space["MyNet"](num_classes=3, width=4).load_state_dict(load_file(tmp_path / "out" / "model.safetensors"))

    (tmp_path / "mynet.py").unlink()
    with pytest.raises(UserError, match="run only where you trust it"):
        load_network(tmp_path / "out")
    loaded = load_network(tmp_path / "out", trust=True)
    images = torch.rand(2, 3, *SIZE)
    assert torch.equal(loaded(images).logits, network(images).logits)
    assert loaded.shapes == network.shapes
    assert loaded.blueprint.mean == (0.5, 0.5, 0.5)
    assert not loaded.has_new_head
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again" / "config.json").read_bytes() == (tmp_path / "out" / "config.json").read_bytes()

    (tmp_path / "out" / "mynet.py").write_text(NETWORK + "\n")
    with pytest.raises(DamagedFileError, match=r"mynet\.py"):
        load_network(tmp_path / "out", trust=True)


def test_weights_fit_by_name_and_a_head_of_other_classes_starts_anew(mine, tmp_path):
    first = built(mine)
    torch.save(first.module.state_dict(), tmp_path / "three.pth")
    same = built(mine, weights=str(tmp_path / "three.pth"))
    assert torch.equal(same.module.fc.weight, first.module.fc.weight)
    assert not same.has_new_head
    other = built(mine, classes=("a", "b"), weights=str(tmp_path / "three.pth"))
    assert torch.equal(other.module.early[0].weight, first.module.early[0].weight)
    assert other.module.fc.weight.shape == (2, 32)
    assert other.has_new_head
    with pytest.raises(UserError, match="do not fit architecture"):
        built(mine, weights=str(tmp_path / "three.pth"), options={"width": 4})


def test_a_part_called_model_is_no_wrapper(tmp_path):
    (tmp_path / "held.py").write_text(
        NETWORK + "\n\nclass Held(nn.Module):\n    def __init__(self, num_classes):\n        super().__init__()\n"
        "        self.model = MyNet(num_classes)\n\n    def forward(self, images):\n        return self.model(images)\n"
    )
    network = built(f"{tmp_path / 'held.py'}:Held", taps=("model.late",))
    assert network.head == "model.fc"
    network.save(tmp_path / "out")
    assert not built(f"{tmp_path / 'held.py'}:Held", weights=str(tmp_path / "out")).has_new_head


def test_an_installed_module():
    pytest.importorskip("torchvision")
    network = built("torchvision.models:resnet18", taps=("layer3", "layer4"))
    assert network.shapes["last"] == (512, 1, 1)
    assert network.shapes["embedding"] == (512,)
    with pytest.raises(UserError, match=r"has no class or function 'resnet81'; did you mean 'resnet18'"):
        built("torchvision.models:resnet81")
    with pytest.raises(UserError, match="No module named 'torchvizion'"):
        built("torchvizion.models:resnet18")
