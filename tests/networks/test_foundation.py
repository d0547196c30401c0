"""Foundation models from every kind of file say what plain timm, or their own library's formulas, say."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from preceptor.errors import UserError
from preceptor.networks.build import build_network
from preceptor.networks.build_classifier import mean_of_classifier
from preceptor.networks.foundation import layer_classes
from preceptor.networks.network import Network
from preceptor.networks.presets import PRESETS, Preset
from preceptor.specs import NetworkSpec

SMALL = {"embed_dim": 32, "depth": 2, "num_heads": 2}
GRID = 3


def side(preset: Preset) -> int:
    return GRID * preset.patch


def load(preset: Preset, weights: Path | str, **more: Any) -> Network:
    size = more.pop("size", side(preset))
    options = {**SMALL, **more.pop("options", {})}
    spec = NetworkSpec(architecture=preset.name, weights=str(weights), input_size=size, options=options, **more)
    network = build_network(spec, task="classification", classes=("a", "b"), image_size=(size, size), seed=0)
    return network.eval()


def plain(preset: Preset) -> Any:
    """timm's own, every parameter random, so that each of them shows in the outputs."""
    torch.manual_seed(0)
    options = layer_classes({**preset.options, **SMALL}, preset.name)
    model = timm.create_model(preset.architecture, num_classes=0, img_size=side(preset), **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model.eval()


def images(preset: Preset) -> Tensor:
    return torch.rand(2, 3, side(preset), side(preset), generator=torch.Generator().manual_seed(1))


def normalised(preset: Preset) -> Tensor:
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (preset.mean, preset.std))
    return (images(preset) - mean) / std


def expected(preset: Preset, tokens: Tensor) -> Tensor:
    """The embedding by the row's words: class token, or class token and the mean of what comes after the registers."""
    if preset.pooling == "cls":
        return tokens[:, 0]
    return torch.cat([tokens[:, 0], tokens[:, 1 + preset.registers :].mean(1)], dim=1)


def as_the_hub_has_it(state: Mapping[str, Tensor], preset: Preset, folder: Path) -> Path:
    torch.save(dict(state), folder / "pytorch_model.bin")
    config = {"architecture": preset.architecture, "num_classes": 0, "model_args": {"img_size": 224}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def alone_in_a_folder(state: Mapping[str, Tensor], preset: Preset, folder: Path) -> Path:
    torch.save(dict(state), folder / preset.file)
    return folder


def lone_bin(state: Mapping[str, Tensor], preset: Preset, folder: Path) -> Path:
    torch.save(dict(state), folder / "mine.bin")
    return folder / "mine.bin"


def lone_safetensors(state: Mapping[str, Tensor], preset: Preset, folder: Path) -> Path:
    save_file({name: tensor.to(torch.float32) for name, tensor in state.items()}, folder / "mine.safetensors")
    return folder / "mine.safetensors"


def nested(state: Mapping[str, Tensor], preset: Preset, folder: Path) -> Path:
    torch.save({"epoch": 3, "state_dict": dict(state)}, folder / "mine.pth")
    return folder / "mine.pth"


def prefixed(state: Mapping[str, Tensor], preset: Preset, folder: Path) -> Path:
    torch.save({"teacher": {f"module.backbone.{name}": one for name, one in state.items()}}, folder / "mine.bin")
    return folder / "mine.bin"


def in_a_tower(state: Mapping[str, Tensor], preset: Preset, folder: Path) -> Path:
    tower = {f"visual.trunk.{name}": tensor for name, tensor in state.items()}
    torch.save({**tower, "text.cls_emb": torch.zeros(4), "logit_scale": torch.zeros(1)}, folder / "mine.bin")
    return folder / "mine.bin"


def in_dinov2s_names(state: Mapping[str, Tensor], preset: Preset, folder: Path) -> Path:
    theirs = {
        name.replace("blocks.", "blocks.0.").replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3"): tensor
        for name, tensor in state.items()
    }
    return lone_bin({**theirs, "mask_token": torch.zeros(1, SMALL["embed_dim"])}, preset, folder)


Write = Callable[[Mapping[str, Tensor], Preset, Path], Path]
MINIATURES: dict[str, Write] = {
    "uni": nested,
    "uni2-h": as_the_hub_has_it,
    "virchow": in_dinov2s_names,
    "virchow2": lone_safetensors,
    "h-optimus-1": nested,
    "h0-mini": prefixed,
    "prov-gigapath": alone_in_a_folder,
    "gpfm": alone_in_a_folder,
    "kaiko-l14": lone_safetensors,
    "conch": in_a_tower,
    "dinov2-s": lone_bin,
    "dinov3-s": lone_safetensors,
}


@pytest.mark.parametrize(("name", "write"), MINIATURES.items(), ids=MINIATURES)
def test_a_miniature_says_what_plain_timm_says(name: str, write: Write, tmp_path: Path):
    preset = PRESETS[name]
    model = plain(preset)
    network = load(preset, write(model.state_dict(), preset, tmp_path))
    with torch.no_grad():
        tokens = model.forward_features(normalised(preset))
        outputs = network(images(preset))
    torch.testing.assert_close(outputs.embedding, expected(preset, tokens), rtol=1e-6, atol=1e-6)
    grid = tokens[:, preset.prefix_tokens :].transpose(1, 2).reshape(2, -1, GRID, GRID)
    torch.testing.assert_close(outputs.maps["last"], grid, rtol=1e-6, atol=1e-6)


def transformers_state(
    *, registers: int, gated: bool, width: int = 32, depth: int = 2, patch: int
) -> dict[str, Tensor]:
    """Random tensors by the names and shapes of transformers' Dinov2 and Dinov2WithRegisters."""
    hidden = (2 * 40, 40) if gated else (4 * width, 4 * width)
    inner = ("mlp.weights_in", "mlp.weights_out") if gated else ("mlp.fc1", "mlp.fc2")
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.cls_token": (1, 1, width),
        "embeddings.mask_token": (1, width),
        "embeddings.position_embeddings": (1, 1 + GRID**2, width),
        "embeddings.patch_embeddings.projection.weight": (width, 3, patch, patch),
        "embeddings.patch_embeddings.projection.bias": (width,),
        "layernorm.weight": (width,),
        "layernorm.bias": (width,),
    }
    if registers:
        shapes["embeddings.register_tokens"] = (1, registers, width)
    for number in range(2):
        block = f"encoder.layer.{number}"
        linear = {f"attention.attention.{one}": (width, width) for one in ("query", "key", "value")}
        linear |= {"attention.output.dense": (width, width), inner[0]: (hidden[0], width), inner[1]: (width, hidden[1])}
        for part, shape in linear.items():
            shapes |= {f"{block}.{part}.weight": shape, f"{block}.{part}.bias": shape[:1]}
        for part in ("norm1", "norm2"):
            shapes |= {f"{block}.{part}.weight": (width,), f"{block}.{part}.bias": (width,)}
        for part in ("layer_scale1", "layer_scale2"):
            shapes[f"{block}.{part}.lambda1"] = (width,)
    generator = torch.Generator().manual_seed(2)
    return {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def dinov2_tokens(state: Mapping[str, Tensor], pixels: Tensor, heads: int = 2) -> Tensor:
    """The model's formulas, written down once more for these names."""
    weight = state["embeddings.patch_embeddings.projection.weight"]
    bias = state["embeddings.patch_embeddings.projection.bias"]
    x = F.conv2d(pixels, weight, bias, stride=weight.shape[-1]).flatten(2).transpose(1, 2)
    n, width = x.shape[0], x.shape[2]
    x = torch.cat([state["embeddings.cls_token"].expand(n, -1, -1), x], 1) + state["embeddings.position_embeddings"]
    if "embeddings.register_tokens" in state:
        x = torch.cat([x[:, :1], state["embeddings.register_tokens"].expand(n, -1, -1), x[:, 1:]], 1)

    def linear(name: str, value: Tensor) -> Tensor:
        return F.linear(value, state[f"{name}.weight"], state[f"{name}.bias"])

    def norm(name: str, value: Tensor) -> Tensor:
        return F.layer_norm(value, (width,), state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-6)

    for number in range(2):
        block = f"encoder.layer.{number}"
        y = norm(f"{block}.norm1", x)
        query, key, value = (
            linear(f"{block}.attention.attention.{one}", y).reshape(n, -1, heads, width // heads).transpose(1, 2)
            for one in ("query", "key", "value")
        )
        weights = (query @ key.transpose(2, 3) / (width // heads) ** 0.5).softmax(-1)
        y = linear(f"{block}.attention.output.dense", (weights @ value).transpose(1, 2).reshape(n, -1, width))
        x = x + state[f"{block}.layer_scale1.lambda1"] * y
        y = norm(f"{block}.norm2", x)
        if f"{block}.mlp.weights_in.weight" in state:
            one, two = linear(f"{block}.mlp.weights_in", y).chunk(2, dim=-1)
            y = linear(f"{block}.mlp.weights_out", F.silu(one) * two)
        else:
            y = linear(f"{block}.mlp.fc2", F.gelu(linear(f"{block}.mlp.fc1", y)))
        x = x + state[f"{block}.layer_scale2.lambda1"] * y
    return norm("layernorm", x)


@pytest.mark.parametrize("prefix", ["", "dinov2."])
@pytest.mark.parametrize(
    ("name", "gated"), [("phikon-v2", False), ("midnight-12k", True), ("hibou-b", False), ("hibou-b", True)]
)
def test_transformers_files_say_what_the_formulas_of_their_library_say(
    name: str, gated: bool, prefix: str, tmp_path: Path
):
    preset = PRESETS[name]
    state = transformers_state(registers=preset.registers, gated=gated, patch=preset.patch)
    save_file({f"{prefix}{key}": tensor for key, tensor in state.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "dinov2", "architectures": ["Dinov2Model"]}))
    network = load(preset, tmp_path)
    tokens = dinov2_tokens(state, normalised(preset))
    with torch.no_grad():
        outputs = network(images(preset))
    torch.testing.assert_close(outputs.embedding, expected(preset, tokens), rtol=1e-5, atol=1e-5)
    assert any("transformers" in note for note in network.notes)


def test_the_file_decides_what_it_tells(tmp_path: Path):
    """Perceptrons, layer scales and positions of a file that the row says otherwise of."""
    uni2 = PRESETS["uni2-h"]
    other = {"mlp_layer": timm.layers.Mlp, "act_layer": torch.nn.GELU, "mlp_ratio": 3.0, "init_values": None}
    plain_options = {**uni2.options, **SMALL, **other, "no_embed_class": False}
    model = timm.create_model(uni2.architecture, num_classes=0, img_size=side(uni2), **plain_options).eval()
    network = load(uni2, lone_bin(model.state_dict(), uni2, tmp_path))
    with torch.no_grad():
        tokens = model.forward_features(normalised(uni2))
        torch.testing.assert_close(network(images(uni2)).embedding, tokens[:, 0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["h-optimus-1", "hibou-b", "kaiko-s16"])
def test_normalisation_is_the_rows_own(name: str, tmp_path: Path):
    preset = PRESETS[name]
    path = lone_bin(plain(preset).state_dict(), preset, tmp_path)
    own, swapped = load(preset, path), load(preset, path, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    with torch.no_grad():
        same = F.cosine_similarity(*(one(images(preset)).embedding for one in (own, swapped)))
    assert own.mean.flatten().tolist() == pytest.approx(preset.mean)
    assert (same < 0.999).all()
    assert mean_of_classifier(NetworkSpec(architecture=name, weights=str(path))) == preset.mean


def test_registers_are_in_no_mean_and_a_wrong_number_of_them_is_seen(tmp_path: Path):
    """Of four registers that are set apart only the row's number leaves the mean as it should be."""
    preset = PRESETS["virchow2"]
    network = load(preset, lone_bin(plain(preset).state_dict(), preset, tmp_path))
    with torch.no_grad():
        tokens = network.model.forward_features(normalised(preset))
        right = network(images(preset)).embedding[:, SMALL["embed_dim"] :]
    means = [tokens[:, prefix:].mean(1) for prefix in range(7)]
    assert [torch.allclose(right, mean, atol=1e-6) for mean in means].index(True) == preset.prefix_tokens
    assert sum(torch.allclose(right, mean, atol=1e-6) for mean in means) == 1


def test_a_foundation_model_is_saved_and_loaded_with_its_pooling(tmp_path: Path):
    from preceptor.composed import load_network

    preset = PRESETS["virchow2"]
    network = load(preset, lone_bin(plain(preset).state_dict(), preset, tmp_path))
    network.save(tmp_path / "saved")
    again = load_network(tmp_path / "saved")
    with torch.no_grad():
        assert torch.equal(again(images(preset)).embedding, network(images(preset)).embedding)


HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2725\n"


def without(name: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda state: {key: tensor for key, tensor in state.items() if key != name}


BAD: dict[str, tuple[str, bytes | Callable[[dict[str, Tensor]], dict[str, Tensor]], str]] = {
    "a web page": ("mine.bin", HTML, r"is a web page \(HTML\), not weights.*(?s:.)*agree to the terms"),
    "a web page as safetensors": ("model.safetensors", HTML, r"is a web page \(HTML\)"),
    "a pointer of Git LFS": ("model.safetensors", POINTER, r"pointer of Git LFS \(\d+ bytes\)(?s:.)*git lfs pull"),
    "a server's message": ("mine.bin", b'{"error":"Access denied"}', r"is a text \(JSON\)"),
    "nothing": ("mine.bin", b"", "the file is empty"),
    "cut short": ("model.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{", "damaged or no safetensors file"),
    "no archive": ("mine.pth", b"PK\x03\x04 and then nothing", "damaged"),
    "a missing tensor": ("mine.bin", without("blocks.1.mlp.fc2.bias"), r"Missing key.*blocks\.1\.mlp\.fc2\.bias"),
    "no tensors at all": ("mine.bin", lambda state: {}, "holds no state dict"),
    "NaN": ("mine.bin", lambda state: {**state, "norm.bias": state["norm.bias"] * torch.nan}, "hold NaN"),
    "another head": ("mine.bin", lambda state: {**state, "head.weight": torch.zeros(7, 32)}, "head has 7 outputs"),
}


@pytest.mark.parametrize(("file", "content", "message"), BAD.values(), ids=BAD)
def test_bad_files_are_named_with_the_remedy(file: str, content: Any, message: str, tmp_path: Path):
    preset = PRESETS["uni"]
    path = tmp_path / file
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content(plain(preset).state_dict()), path)
    with pytest.raises(UserError, match=message) as error:
        load(preset, path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("named", "held", "message"),
    [
        ("uni2-h", "uni", "has 2 blocks of width 32, patches of 16 px and 0 registers"),
        ("virchow2", "virchow", "and virchow2 2 blocks of width 32, patches of 14 px and 4 registers"),
        ("virchow", "virchow2", "are not of virchow(?s:.)*fetch pytorch_model.bin of https://huggingface.co/paige-ai/"),
    ],
)
def test_the_file_of_another_row_is_named(named: str, held: str, message: str, tmp_path: Path):
    path = lone_bin(plain(PRESETS[held]).state_dict(), PRESETS[held], tmp_path)
    with pytest.raises(UserError, match=message):
        load(PRESETS[named], path)


def test_an_image_size_that_patches_do_not_divide_is_named(tmp_path: Path):
    preset = PRESETS["uni2-h"]
    path = lone_bin(plain(preset).state_dict(), preset, tmp_path)
    with pytest.raises(UserError, match="input_size"):
        load(preset, path, size=45)


def test_layers_of_no_list_are_refused():
    with pytest.raises(UserError, match="mlp_layer should be one of SwiGLUPacked"):
        load(PRESETS["uni2-h"], "none", options={"mlp_layer": "Attention"})


def test_positions_of_another_grid_are_resampled(tmp_path: Path):
    preset = PRESETS["uni"]
    network = load(preset, lone_bin(plain(preset).state_dict(), preset, tmp_path), size=2 * preset.patch)
    assert network.shapes["last"][-2:] == (2, 2)


def test_weights_that_cannot_be_fetched_are_named_with_file_terms_and_licence(monkeypatch):
    monkeypatch.setattr("preceptor.networks.foundation.out_of_reach", lambda *_, **__: "huggingface.co is not there")
    with pytest.raises(UserError) as error:
        load(PRESETS["uni2-h"], "imagenet")
    said = str(error.value)
    assert "huggingface.co is not there" in said
    assert "Fetch pytorch_model.bin of https://huggingface.co/MahmoodLab/UNI2-h, agree to the terms there" in said
    assert "Licence: CC-BY-NC-ND-4.0" in said
