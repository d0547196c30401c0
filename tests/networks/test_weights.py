"""Weights from files and folders: what fits is loaded, what does not is refused, nothing is run."""

import argparse
import datetime
import json
import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from preceptor.errors import UserError
from preceptor.networks.build import build_network
from preceptor.networks.weights import read_weights
from preceptor.specs import NetworkSpec


def make(architecture="resnet10t", *, weights="none", task="classification", classes=("a", "b"), size=32, **more):
    adapter = more.pop("adapter", None)
    return build_network(
        NetworkSpec(architecture=architecture, weights=str(weights), **more),
        task=task,
        classes=classes,
        image_size=(size, size),
        seed=0,
        adapter=adapter,
    )


def segmenter(**more):
    return make("unet", task="segmentation", encoder=more.pop("encoder", "resnet10t"), **more)


def scrambled(module: nn.Module) -> nn.Module:
    """Weights that no seed gives."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return module


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.parametrize("write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
@pytest.mark.parametrize("name", ["weights.pth", "weights.pt", "weights.bin"])
def test_a_pickle_with_code_is_refused_and_never_run(write, name, tmp_path):
    touched = tmp_path / "touched"
    write({"fc.weight": torch.zeros(2), "evil": Malicious(touched)}, tmp_path / name)
    with pytest.raises(UserError, match=r"refused.*(?s:.)*Nothing in it was run"):
        make(weights=tmp_path / name)
    assert not touched.exists()


def test_a_pickle_with_code_in_a_folder_is_refused_and_never_run(tmp_path):
    touched = tmp_path / "touched"
    torch.save({"evil": Malicious(touched)}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet10t"}))
    for spec in ({"weights": tmp_path}, {"architecture": f"local-dir:{tmp_path}", "weights": "imagenet"}):
        with pytest.raises(UserError, match="refused"):
            make(**spec)
    assert not touched.exists()


class Foreign:
    """Of a package that torch neither knows nor blocks."""


def test_nobody_is_advised_to_load_what_was_refused(tmp_path):
    class Net(nn.Module):
        def forward(self, images):
            return images

    with warnings.catch_warnings(action="ignore"):
        torch.jit.save(torch.jit.trace(Net(), torch.zeros(1)), tmp_path / "script.pt")
    torch.save({"net": Foreign()}, tmp_path / "foreign.pt")
    for name in ("script.pt", "foreign.pt"):
        with pytest.raises(UserError) as found:
            make(weights=tmp_path / name)
        assert not re.search("weights_only|allow_pickle|safe_globals|trusted source|Re-running", str(found.value))
        assert re.search("of which nothing was run|Nothing in it was run", str(found.value))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.safetensors", None, "no such file or folder"),
        ("cut.safetensors", b"\x00\x01", "damaged"),
        ("cut.pth", b"", "damaged"),
        ("text.pth", b"hello", "damaged"),
    ],
)
def test_damaged_files(name, content, message, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        make(weights=path)


def test_files_without_a_state_dict(tmp_path):
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(UserError, match="holds no state dict"):
        make(weights=tmp_path / "list.pth")
    with pytest.raises(UserError, match=r"holds no config\.json"):
        make(weights=tmp_path)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s}, lambda s: {"model": s, "epoch": 3}])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model."])
def test_state_dicts_however_they_are_wrapped(wrap, prefix, tmp_path):
    trained = scrambled(timm.create_model("resnet10t", num_classes=2))
    torch.save(wrap({prefix + name: tensor for name, tensor in trained.state_dict().items()}), tmp_path / "a.pth")
    network = make(weights=tmp_path / "a.pth")
    assert all(torch.equal(tensor, trained.state_dict()[name]) for name, tensor in network.model.state_dict().items())
    assert not network.has_new_head
    assert "state_dict" not in network.model.pretrained_cfg


def prefixed(state, prefix):
    return {prefix + name: tensor for name, tensor in state.items()}


CHECKPOINTS = {
    "data parallel, compiled": (lambda s: prefixed(s, "module._orig_mod."), "without module"),
    "parts wrapped to save memory": (
        lambda s: {name.replace("layer2.", "layer2._checkpoint_wrapped_module."): t for name, t in s.items()},
        "",
    ),
    "sharded": (
        lambda s: {
            f"_fsdp_wrapped_module.{name.replace('.0.', '.0._fsdp_wrapped_module.')}": t for name, t in s.items()
        },
        "",
    ),
    "compiled inside": (lambda s: prefixed(s, "net._orig_mod.module."), "without net.module"),
    "averaged": (lambda s: {"n_averaged": torch.tensor(3), **prefixed(s, "module.")}, "not n_averaged"),
    "timm": (lambda s: {"state_dict": s, "args": argparse.Namespace(lr=0.1), "arch": "x"}, "its entry state_dict"),
    "timm with averages": (lambda s: {"state_dict_ema": s, "state_dict": s}, "not state_dict_ema, which fits too"),
    "numpy": (lambda s: {"net": s, "acc": np.float64(0.9), "curve": np.ones(2), "n": np.int32(3)}, "its entry net"),
    "averages alone": (lambda s: {"model_ema": s, "epoch": 1}, "its entry model_ema"),
    "deep": (lambda s: {"checkpoint": {"weights": {"student": s}}}, "its entry checkpoint.weights.student"),
    "lightning": (
        lambda s: {"state_dict": prefixed(s, "model.") | {"criterion.weight": torch.ones(2)}, "global_step": 3},
        "its entry state_dict; names without model.; not criterion.weight",
    ),
    "teacher beside student": (
        lambda s: {"state_dict": prefixed(s, "student.backbone.") | {"teacher.x": torch.ones(2)}},
        "without student.backbone",
    ),
    "settings": (
        lambda s: {"model": s, "out": Path("/x"), "when": datetime.datetime(2024, 1, 2), "step": datetime.timedelta(1)},
        "its entry model",
    ),
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_checkpoints_as_people_save_them(kind, tmp_path):
    made, said = CHECKPOINTS[kind]
    trained = scrambled(timm.create_model("test_resnet", num_classes=2))
    torch.save(made(trained.state_dict()), tmp_path / "a.pth")
    network = make("test_resnet", weights=tmp_path / "a.pth")
    assert all(torch.equal(tensor, trained.state_dict()[name]) for name, tensor in network.model.state_dict().items())
    assert not network.has_new_head
    assert said in " ".join(network.notes)


def test_segmenters_find_themselves_in_checkpoints(tmp_path):
    trained = scrambled(segmenter()).model.state_dict()
    torch.save({"state_dict": prefixed(trained, "model."), "epoch": 3}, tmp_path / "a.ckpt")
    network = segmenter(weights=tmp_path / "a.ckpt")
    assert all(torch.equal(tensor, trained[name]) for name, tensor in network.model.state_dict().items())
    encoder = {
        name.removeprefix("encoder.model."): t for name, t in trained.items() if name.startswith("encoder.model.")
    }
    torch.save({"net": prefixed(encoder, "module.")}, tmp_path / "b.pth")
    network = segmenter(weights=tmp_path / "b.pth")
    assert torch.equal(network.model.encoder.model.conv1[0].weight, trained["encoder.model.conv1.0.weight"])


def test_names_of_an_architecture_are_looked_up_without_random_numbers(tmp_path):
    """Else a new head would depend on whether weights were given as a file."""
    state = timm.create_model("test_resnet", num_classes=1000).state_dict()
    save_file(state, tmp_path / "a.safetensors")
    config = {"architecture": "test_resnet", "pretrained_cfg": {"num_classes": 1000}}
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    one, other = make("test_resnet", weights=tmp_path / "a.safetensors"), make("test_resnet", weights=tmp_path)
    assert one.has_new_head
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name]), name


def test_imagenet_like_files_give_their_features_and_a_new_head(tmp_path):
    published = scrambled(timm.create_model("resnet10t", num_classes=1000))
    save_file(published.state_dict(), tmp_path / "a.safetensors")
    network = make(weights=tmp_path / "a.safetensors", adapter=16)
    assert torch.equal(network.model.layer1[0].conv1.weight, published.layer1[0].conv1.weight)
    assert network.has_new_head
    assert network.shapes["logits"] == (2,)


def test_a_head_of_another_size_is_refused(tmp_path):
    save_file(timm.create_model("resnet10t", num_classes=3).state_dict(), tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=r"head has 3 outputs, the data has 2 classes \(a, b\)"):
        make(weights=tmp_path / "a.safetensors")


@pytest.mark.parametrize("as_file", [False, True])
@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("b", "a"), "the same ones in another order"),
        (("a", "b", "c"), "trained on 2 classes, the data has 3"),
        (("a", "x"), "trained on 2 classes, the data has 2"),
    ],
)
def test_other_classes_are_refused(classes, message, as_file, tmp_path):
    make().save(tmp_path / "T")
    weights = tmp_path / "T" / "model.safetensors" if as_file else tmp_path / "T"
    with pytest.raises(UserError, match=message):
        make(weights=weights, classes=classes)


def test_other_classes_of_masks_are_refused(tmp_path):
    segmenter(classes=("background", "tumour")).save(tmp_path)
    with pytest.raises(UserError, match="trained on 2 classes, the data has 3"):
        segmenter(classes=("background", "tumour", "stroma"), weights=tmp_path)


def test_class_names_in_timms_own_folders_are_checked(tmp_path):
    model = timm.create_model("resnet10t", num_classes=2)
    timm.models.save_for_hf(model, tmp_path, model_config={"label_names": ["b", "a"]}, safe_serialization=True)
    with pytest.raises(UserError, match="another order"):
        make(weights=tmp_path)
    assert not make(weights=tmp_path, classes=("b", "a")).has_new_head


def test_local_dir_takes_architecture_and_weights_from_the_folder(tmp_path):
    trained = make("mobilenetv3_small_050", options={"drop_rate": 0.3}, mean=(0.1, 0.2, 0.3))
    trained.save(tmp_path)
    network = make(f"local-dir:{tmp_path}", weights="imagenet")
    assert network.blueprint.spec.architecture == "mobilenetv3_small_050"
    assert network.model.drop_rate == 0.3
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(network.eval()(images).logits, trained.eval()(images).logits)
    assert make(f"local-dir:{tmp_path}").has_new_head  # `weights: none` takes the architecture alone


def test_another_architecture_is_refused(tmp_path):
    make().save(tmp_path)
    with pytest.raises(UserError, match=r"saved from architecture 'resnet10t', not 'resnet18'"):
        make("resnet18", weights=tmp_path)
    with pytest.raises(UserError, match=r"do not fit architecture resnet18"):
        make("resnet18", weights=tmp_path / "model.safetensors")
    segmenter().save(tmp_path / "U")
    with pytest.raises(UserError, match=r"saved from Unet with encoder tu-resnet10t, not from unet with .*resnet18"):
        segmenter(encoder="resnet18", weights=tmp_path / "U")
    with pytest.raises(UserError, match="saved from architecture 'unet'"):
        make(weights=tmp_path / "U")


def test_an_adapter_that_was_not_trained_with_the_teacher_is_refused(tmp_path):
    make().save(tmp_path / "plain")
    make(adapter=16).save(tmp_path / "adapted")
    with pytest.raises(UserError, match="hold no teacher-side adapter, this run wants one of 16"):
        make(weights=tmp_path / "plain", adapter=16)
    with pytest.raises(UserError, match="hold an adapter of 16 channels, this run wants one of 32"):
        make(weights=tmp_path / "adapted", adapter=32)
    assert make(weights=tmp_path / "adapted").shapes["last"][0] == 16
    assert make(weights=tmp_path / "adapted" / "model.safetensors").shapes["last"][0] == 16


def test_position_embeddings_are_resampled_for_other_image_sizes(tmp_path):
    trained = make("vit_tiny_patch16_224", size=64)
    trained.save(tmp_path)
    network = make("vit_tiny_patch16_224", size=96, weights=tmp_path)
    assert network.model.pos_embed.shape == (1, 1 + 36, 192)
    assert torch.equal(network.model.head.weight, trained.model.head.weight)


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenetv1_100", "resnet10t"])
def test_segmenters_take_the_encoder_of_a_classifiers_file(encoder, tmp_path):
    published = scrambled(timm.create_model(encoder, num_classes=1000))
    save_file(published.state_dict(), tmp_path / "a.safetensors")
    network = segmenter(encoder=encoder, weights=tmp_path / "a.safetensors")
    own = network.model.encoder.state_dict()
    for name, tensor in published.state_dict().items():
        found = own.get(name, own.get(f"model.{name}"))
        assert found is None or torch.equal(found, tensor)
    assert network.has_new_head


def test_segmenters_refuse_other_encoders(tmp_path):
    save_file(timm.create_model("resnet10t").state_dict(), tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=r"do not fit architecture unet with encoder resnet18.\nmissing"):
        segmenter(encoder="resnet18", weights=tmp_path / "a.safetensors")


def test_segmenters_refuse_another_number_of_channels(tmp_path):
    save_file(smp.Unet("tu-resnet10t", encoder_weights=None, classes=5).state_dict(), tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=r"head has 5 channels, 2 classes .* need 1"):
        segmenter(weights=tmp_path / "a.safetensors")


def test_claims_of_a_file(tmp_path):
    make(classes=("x", "y")).save(tmp_path)
    assert read_weights(str(tmp_path / "model.safetensors")).classes == ("x", "y")
    assert read_weights(str(tmp_path)).classes == ("x", "y")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_weights_that_are_no_numbers_are_refused(tmp_path, number, suffix):
    state = make().model.state_dict()
    state["conv1.0.weight"][0, 0, 0, 0] = number
    path = tmp_path / f"weights.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    with pytest.raises(UserError, match=r"1 of \d+ tensors hold NaN or infinity, for example 'conv1\.0\.weight'"):
        make(weights=path)


@pytest.mark.parametrize(("key", "value"), [("std", [0.0, 0.2, 0.2]), ("mean", [float("nan"), 0.0, 0.0])])
def test_a_saved_normalisation_that_no_image_survives_is_refused(tmp_path, key, value):
    make().save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["pretrained_cfg"][key] = value
    for key in ("sha256", "weights_sha256", "preprocessing"):  # as an older version wrote it, or a stranger changes it
        del config["_preceptor"][key]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"cannot normalise with mean .* std above 0(?s:.)*config\.json"):
        make(weights=tmp_path)
