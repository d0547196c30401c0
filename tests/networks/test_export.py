"""Saved networks load with plain libraries and give the same logits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from preceptor.errors import UserError
from preceptor.networks.build import build_network, load_plain_network
from preceptor.specs import NetworkSpec

WITHOUT_PRECEPTOR = """
import sys
sys.modules["preceptor"] = None  # importing it would fail
import json, pathlib, timm, torch
import segmentation_models_pytorch as smp
from safetensors.torch import load_file, save_file
for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    config = json.loads((folder / "config.json").read_text())
    if folder.name.startswith("timm"):
        model = timm.create_model(f"local-dir:{folder}", pretrained=True)
        settings = timm.data.resolve_model_data_config(model)
        assert model.pretrained_cfg["label_names"] == config["label_names"]
    else:
        model = smp.from_pretrained(str(folder))
        settings = config["_preceptor"]
    mean, std = (torch.tensor(settings[name]).reshape(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        logits = model.eval()((load_file(folder / "images.safetensors")["images"] - mean) / std)
    save_file({"logits": logits}, folder / "logits.safetensors")
assert sys.modules["preceptor"] is None
"""


def make(architecture, *, task="classification", classes=("a", "b"), size=32, adapter=None, **more):
    network = build_network(
        NetworkSpec(architecture=architecture, weights="none", **more),
        task=task,
        classes=classes,
        image_size=(size, size),
        seed=0,
        adapter=adapter,
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network.eval()


NETWORKS = [
    {"architecture": "resnet10t"},
    {"architecture": "mobilenetv3_small_050", "mean": (0.7, 0.6, 0.7), "std": (0.1, 0.2, 0.3)},
    {"architecture": "vit_tiny_patch16_224", "size": 48, "options": {"drop_path_rate": 0.1}},
    {"architecture": "unet", "encoder": "resnet10t", "mean": (0.7, 0.6, 0.7)},
    {"architecture": "fpn", "encoder": "resnet18", "classes": ("x", "y", "z"), "size": 64},
]


def test_plain_libraries_give_the_same_logits(tmp_path):
    expected = {}
    for spec in NETWORKS:
        library, task = ("smp", "segmentation") if "encoder" in spec else ("timm", "classification")
        network = make(task=task, **spec)
        folder = tmp_path / f"{library}_{spec['architecture']}"
        network.save(folder)
        images = torch.rand(2, 3, *network.image_size)
        save_file({"images": images}, folder / "images.safetensors")
        with torch.no_grad():
            expected[folder] = network(images).logits
    subprocess.run([sys.executable, "-c", WITHOUT_PRECEPTOR, str(tmp_path)], check=True, cwd=tmp_path)
    for folder, logits in expected.items():
        torch.testing.assert_close(load_file(folder / "logits.safetensors")["logits"], logits)


def simkd_head(channels):
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(channels, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 2),
    )


@pytest.mark.parametrize("kind", ["plain", "adapter", "head", "segmenter", "transformer"])
def test_load_network_gives_back_what_was_saved(kind, tmp_path):
    if kind == "segmenter":
        network = make("unet", task="segmentation", encoder="mobilenetv1_100", size=32, std=(0.1, 0.1, 0.1))
    elif kind == "transformer":
        network = make("vit_tiny_patch16_224", input_size=64, size=40)
    else:
        network = make("resnet10t", adapter=16 if kind == "adapter" else None)
    if kind == "head":
        network.replace_head(simkd_head(512))
        network.eval()
    network.save(tmp_path)
    loaded = load_plain_network(tmp_path)
    images = torch.rand(2, 3, *network.image_size)
    with torch.no_grad():
        expected, found = network(images), loaded(images)
    for tap in network.taps:
        assert torch.equal(found.at(tap), expected.at(tap)), tap
    assert loaded.parameters_count() == network.parameters_count()
    assert not loaded.training
    assert not loaded.has_new_head


@pytest.mark.parametrize("kind", ["adapter", "head"])
def test_what_timm_cannot_build_says_so(kind, tmp_path):
    network = make("resnet10t", adapter=16 if kind == "adapter" else None)
    if kind == "head":
        network.replace_head(simkd_head(512))
    network.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert "load it with preceptor.composed.load_network" in config["_preceptor"]["note"]
    import timm

    with pytest.raises(Exception, match="preceptor"):
        timm.create_model(f"local-dir:{tmp_path}", pretrained=True)


def test_the_config_holds_everything_a_reader_needs(tmp_path):
    make("resnet10t", classes=("benign", "malignant"), size=40, mean=(0.1, 0.2, 0.3)).save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architecture"] == "resnet10t"
    assert config["label_names"] == ["benign", "malignant"]
    assert config["pretrained_cfg"]["mean"] == [0.1, 0.2, 0.3]
    assert config["pretrained_cfg"]["input_size"] == [3, 40, 40]
    assert config["_preceptor"]["task"] == "classification"
    assert not list(tmp_path.glob(".*"))


def test_saving_again_replaces_and_a_failed_save_keeps_the_old(tmp_path, monkeypatch):
    network = make("resnet10t")
    network.save(tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()

    def full_disk(path, content):
        path.write_text("half")
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="no space"):
        network.save(tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_load_network_wants_a_folder_of_ours(tmp_path):
    with pytest.raises(UserError, match=r"holds no config\.json"):
        load_plain_network(tmp_path)
    (tmp_path / "config.json").write_text('{"architecture": "resnet10t"}')
    with pytest.raises(UserError, match="not saved by preceptor"):
        load_plain_network(tmp_path)


@pytest.mark.parametrize("architecture", ["weights", "local-dir"])
def test_a_config_does_not_say_where_the_weights_lay(architecture, tmp_path):
    make("resnet10t").save(tmp_path / "private")
    given = {"weights": str(tmp_path / "private")}
    if architecture == "local-dir":
        given = {"weights": "imagenet", "architecture": f"local-dir:{tmp_path / 'private'}"}
    spec = NetworkSpec(**{"architecture": "resnet10t", **given})
    network = build_network(spec, task="classification", classes=("a", "b"), image_size=(32, 32), seed=0).eval()
    network.save(tmp_path / "out")
    text = (tmp_path / "out" / "config.json").read_text()
    assert str(tmp_path) not in text
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(
        load_plain_network(tmp_path / "out")(images).logits, network(images).logits, rtol=0, atol=0
    )
