"""Networks from specifications: sizes, seeds, what is refused."""

import json
import socket

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file

from preceptor.errors import UserError
from preceptor.networks.build import build_network, mean_of
from preceptor.specs import NetworkSpec

EIGHT = tuple("abcdefgh")


def make(architecture="resnet10t", *, task="classification", classes=("a", "b"), size=32, seed=0, adapter=None, **spec):
    return build_network(
        NetworkSpec(**{"architecture": architecture, "weights": "none", **spec}),
        task=task,
        classes=classes,
        image_size=size if isinstance(size, tuple) else (size, size),
        seed=seed,
        adapter=adapter,
    )


@pytest.mark.parametrize(
    ("architecture", "classes", "millions"),
    [
        ("resnet50", ("a", "b"), 23.5),
        ("resnet18", ("a", "b"), 11.2),
        ("mobilenetv1_100", ("a", "b"), 3.2),
        ("mixnet_l", EIGHT, 5.8),
        ("mixnet_s", EIGHT, 2.6),
    ],
)
def test_published_sizes_of_classifiers(architecture, classes, millions):
    assert round(make(architecture, classes=classes).parameters_count() / 1e6, 1) == millions


@pytest.mark.parametrize(("encoder", "millions"), [("resnet50", 32.5), ("resnet18", 14.3), ("mobilenetv1_100", 8.3)])
def test_published_sizes_of_segmenters(encoder, millions):
    network = make("unet", task="segmentation", encoder=encoder)
    assert round(network.parameters_count() / 1e6, 1) == millions


@pytest.mark.parametrize(
    "spec", [{"adapter": 16}, {"architecture": "unet", "encoder": "resnet10t", "task": "segmentation"}]
)
def test_the_start_is_a_function_of_the_seed(spec):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = make(seed=7, **spec).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    second, other = make(seed=7, **spec).state_dict(), make(seed=8, **spec).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("size", [27, 32, 64, (48, 64)])
def test_small_images_train_from_scratch(size):
    network = make(size=size).train()
    height, width = network.image_size
    network(torch.rand(4, 3, height, width)).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_transformers_are_built_for_the_images():
    assert make("vit_tiny_patch16_224", size=64).shapes["last"] == (192, 4, 4)
    assert make("vit_tiny_patch16_224", size=64, input_size=96).shapes["last"] == (192, 6, 6)
    assert make("vit_tiny_patch16_224", size=64, options={"img_size": 64}).shapes["last"] == (192, 4, 4)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"architecture": "resnet18x"}, "unknown architecture 'resnet18x'; nearest: resnet18"),
        ({"architecture": "unet"}, "'unet' is for masks, this task is classification"),
        ({"architecture": "resnet18", "task": "segmentation"}, "`architecture: unet` and `encoder: resnet18`"),
        ({"architecture": "unett", "task": "segmentation"}, "nearest: unet"),
        ({"architecture": "unet", "task": "segmentation"}, "wants an `encoder`"),
        ({"architecture": "unet", "encoder": "resnet1", "task": "segmentation"}, "unknown encoder.*resnet18"),
        ({"options": {"num_classes": 4}}, "'num_classes' is set by preceptor"),
        ({"options": {"depths": 4}}, "cannot be built.*'depths'"),
        ({"classes": ("a",)}, "at least 2 classes, the data has 1: a"),
        ({"architecture": "resnet10t.nonsense"}, "no weights 'nonsense'; timm has c3_in1k"),
        ({"architecture": "vit_tiny_patch16_224", "size": 8}, "cannot .* 8×8 px"),
        ({"architecture": "inception_v4", "size": 16}, "cannot take images of 16×16 px"),
        ({"architecture": "vit_tiny_patch16_224", "options": {"patch_drop_rate": 0.5}}, "maps lose their grid"),
        (
            {"architecture": "unet", "encoder": "resnet10t", "task": "segmentation", "options": {"activation": "relu"}},
            "'activation' is set by preceptor",
        ),
        (
            {"architecture": "unet", "encoder": "resnet10t", "task": "segmentation", "options": {"encoder_depth": 9}},
            "cannot be built",
        ),
        (
            {"architecture": "unet", "encoder": "resnet10t", "task": "segmentation", "adapter": 32},
            "takes no inline adapter.*\n.*decoder_channels",
        ),
    ],
)
def test_what_is_refused(spec, message):
    with pytest.raises(UserError, match=message):
        make(**spec)


@pytest.mark.parametrize(
    ("size", "works"), [((250, 250), "224×224 or 256×256"), ((64, 70), "64×64 or 64×96"), ((20, 20), "32×32,")]
)
def test_sizes_that_a_unet_cannot_halve_name_those_it_can(size, works):
    with pytest.raises(UserError, match=f"multiples of 32.\nSet data.image_size to {works}"):
        make("unet", task="segmentation", encoder="resnet10t", size=size)


@pytest.mark.parametrize(
    "spec",
    [
        {"architecture": "resnet10t"},
        {"architecture": "unet", "encoder": "resnet18", "task": "segmentation"},
        {"architecture": "unet", "encoder": "resnet10t", "task": "segmentation"},
        {"architecture": "hf-hub:someone/something"},
    ],
)
def test_without_internet_says_how_to_go_on(spec, monkeypatch):
    def unreachable(*arguments):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *arguments, **options: None)
    for proxy in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    with pytest.raises(UserError, match=r"cannot be had.*\n.*`weights: none`.*local"):
        make(weights="imagenet", **spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"architecture": "tf_efficientnet_lite0"},
        {"architecture": "unet", "encoder": "tf_efficientnet_lite0", "task": "segmentation"},
    ],
    ids=["classifier", "encoder"],
)
def test_weights_of_imagenet_are_taken_from_the_folder_of_weights_where_they_lie_there(spec, tmp_path, monkeypatch):
    model = timm.create_model("tf_efficientnet_lite0")
    torch.nn.init.constant_(model.conv_stem.weight, 0.25)
    save_file(model.state_dict(), tmp_path / "tf_efficientnet_lite0.safetensors")
    monkeypatch.setenv("PRECEPTOR_WEIGHTS", str(tmp_path))
    network = make(weights="imagenet", **spec)
    assert (next(network.model.parameters()) == 0.25).all()
    assert network.has_new_head
    assert network.blueprint.mean == network.blueprint.std == (0.5, 0.5, 0.5), "timm's, of these weights"


@pytest.mark.parametrize(
    ("encoder", "mean"), [("tf_efficientnet_lite0", (0.5, 0.5, 0.5)), ("resnet18", (0.485, 0.456, 0.406))]
)
def test_a_lone_file_of_an_encoder_is_normalised_as_its_library_does(encoder, mean, tmp_path):
    file = tmp_path / "encoder.safetensors"
    save_file(timm.create_model(encoder).state_dict(), file)
    spec = {"architecture": "unet", "encoder": encoder, "task": "segmentation", "weights": str(file)}
    network = make(**spec)
    assert network.blueprint.mean == pytest.approx(mean)
    known = {name: value for name, value in spec.items() if name != "task"}
    assert mean_of(NetworkSpec(**known), "segmentation") == pytest.approx(mean), "by which `resize: pad` fills"


def test_weights_that_do_not_exist_for_an_architecture():
    name = next(name for name in timm.list_models("resnet*") if not timm.is_model_pretrained(name))
    with pytest.raises(UserError, match="cannot be had"):
        make(name, weights="imagenet")


@pytest.fixture
def cached(monkeypatch):
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *arguments, **options: "cached")


def publish(monkeypatch, model):
    """Let timm's download give the weights of ``model``."""
    found = model.state_dict()
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *arguments, **options: dict(found))


@pytest.mark.usefixtures("cached")
def test_imagenet_weights_come_with_a_new_head(monkeypatch):
    published = timm.create_model("resnet10t", num_classes=1000)
    publish(monkeypatch, published)
    network = make(weights="imagenet", seed=1)
    assert torch.equal(network.model.layer4[0].conv1.weight, published.layer4[0].conv1.weight)
    assert network.model.fc.out_features == 2
    assert network.has_new_head
    assert torch.equal(network.model.fc.weight, make(weights="imagenet", seed=1).model.fc.weight)


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize(("classes", "keeps_head"), [(("a", "b"), True), (("b", "a"), False), (("a", "b", "c"), False)])
def test_hub_models_keep_their_head_for_the_same_classes_only(classes, keeps_head, monkeypatch):
    published = timm.create_model("resnet10t", num_classes=2)
    publish(monkeypatch, published)
    cfg = published.pretrained_cfg | {
        "num_classes": 2,
        "label_names": ["a", "b"],
        "mean": (0.7, 0.6, 0.7),
        "source": "hf-hub",
        "hf_hub_id": "some/one",
    }
    for module in ("timm.models", "timm.models._factory"):
        monkeypatch.setattr(f"{module}.load_model_config_from_hf", lambda *_, **__: (dict(cfg), "resnet10t", {}))
    network = make("hf-hub:some/one", weights="imagenet", classes=classes)
    assert network.blueprint.spec.architecture == "resnet10t"
    assert network.blueprint.spec.mean == (0.7, 0.6, 0.7)
    assert torch.equal(network.model.conv1[0].weight, published.conv1[0].weight)
    assert (
        network.model.fc.weight.shape == (2, 512) and torch.equal(network.model.fc.weight, published.fc.weight)
    ) == keeps_head
    assert network.has_new_head != keeps_head


@pytest.mark.usefixtures("cached")
def test_imagenet_encoders_from_smp(monkeypatch, tmp_path):
    published = timm.create_model("resnet18", num_classes=1000)
    save_file(published.state_dict(), tmp_path / "model.safetensors")
    settings = {"input_space": "RGB", "input_range": [0, 255], "mean": [51.0, 51.0, 51.0], "std": [25.5, 25.5, 25.5]}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    monkeypatch.setattr(
        "segmentation_models_pytorch.encoders.hf_hub_download", lambda _, filename, **__: str(tmp_path / filename)
    )
    network = make("unet", task="segmentation", encoder="resnet18", weights="imagenet")
    assert torch.equal(network.model.encoder.conv1.weight, published.conv1.weight)
    torch.testing.assert_close(network.mean.flatten(), torch.full((3,), 0.2))
    torch.testing.assert_close(network.std.flatten(), torch.full((3,), 0.1))
    assert network.has_new_head


@pytest.mark.usefixtures("cached")
def test_imagenet_encoders_from_timm(monkeypatch):
    published = timm.create_model("mobilenetv1_100", num_classes=1000)
    publish(monkeypatch, published)
    network = make("unet", task="segmentation", encoder="mobilenetv1_100", weights="imagenet")
    assert torch.equal(network.model.encoder.model.conv_stem.weight, published.conv_stem.weight)
    torch.testing.assert_close(network.mean.flatten(), torch.tensor(published.pretrained_cfg["mean"]))
