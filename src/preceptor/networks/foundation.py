"""Foundation models: from the name of a row to a specification, and what a file of weights decides in it."""

from collections.abc import Mapping
from math import isqrt
from typing import Any

import huggingface_hub
import torch
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.networks.hub import out_of_reach
from preceptor.networks.libraries import timm
from preceptor.networks.preset import check_layers
from preceptor.networks.presets import PRESETS, Preset, preset_of
from preceptor.networks.shapes_only import shapes_only
from preceptor.networks.weights import SavedWeights, reason_of
from preceptor.specs import NetworkSpec

_PROJECTION, _POSITIONS, _REGISTERS = "patch_embed.proj.weight", "pos_embed", "reg_token"
_CLASSES = {
    "SwiGLUPacked": timm.layers.SwiGLUPacked,
    "SwiGLU": timm.layers.SwiGLU,
    "GluMlp": timm.layers.GluMlp,
    "Mlp": timm.layers.Mlp,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}
"""What the names in :data:`~preceptor.networks.preset.LAYERS` stand for."""


def settle_preset(spec: NetworkSpec) -> NetworkSpec:
    """A plain timm name in place of a foundation model's, with its options, normalisation and size."""
    preset = preset_of(spec.architecture)
    if preset is None:
        return spec
    return spec.model_copy(
        update={
            "architecture": preset.architecture,
            "options": {**preset.options, **spec.options},
            "mean": spec.mean or preset.mean,
            "std": spec.std or preset.std,
            "input_size": spec.input_size or preset.size,
        }
    )


def fetched(preset: Preset) -> str:
    """The path of the published weights, from the hub's cache or the hub.

    Raises:
        UserError: they cannot be had.
    """
    reason = out_of_reach(preset.repository, files=(preset.file,))
    if reason is None:
        try:
            return huggingface_hub.hf_hub_download(preset.repository, preset.file)
        except Exception as error:  # the hub's client raises what its transport raises
            reason = reason_of(error)
    gated = ", agree to the terms there (the repository is gated)" if preset.access == "gated" else ""
    raise UserError(
        f"{preset.name}: its weights cannot be had: {reason}.\nFetch {preset.file} of "
        f"https://huggingface.co/{preset.repository}{gated}, and give it: `weights: PATH/{preset.file}`. "
        f"Licence: {preset.licence}."
    )


def layer_classes(options: Mapping[str, Any], named: str) -> dict[str, Any]:
    """``options`` with classes in place of the names of layers, of a closed list.

    Raises:
        UserError: another name.
    """
    check_layers(options, named)
    named_layers = {key: _CLASSES[options[key]] for key in ("mlp_layer", "act_layer") if options.get(key) is not None}
    return {**options, **named_layers}


def shapes_of(spec: NetworkSpec) -> dict[str, torch.Size]:
    """Shapes of the architecture's tensors by name; none where it cannot be built, which is said when it is."""
    try:
        with shapes_only():
            model = timm.create_model(spec.architecture, **layer_classes(spec.options, spec.architecture))
    except UserError:
        raise
    except Exception:  # whatever wrong options make a library raise
        return {}
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


def told_by(weights: SavedWeights, spec: NetworkSpec, preset: Preset | None) -> NetworkSpec:
    """``spec`` with what a vision transformer's file tells better than a row: its multilayer perceptrons, layer
    scales, registers and positions.

    Raises:
        UserError: the file is of another foundation model than the recipe names.
    """
    state = weights.state
    wanted = shapes_of(spec) if _is_transformer(state) else {}
    if not _is_transformer(wanted):
        return spec
    if preset is not None:
        _require_same(weights, wanted, preset)
    told = {
        **_perceptron(state, wanted),
        **_layer_scale(state, wanted),
        **_tokens(state, wanted),
    }
    return spec.model_copy(update={"options": {**spec.options, **told}}) if told else spec


def _is_transformer(state: Mapping[str, Any]) -> bool:
    return _PROJECTION in state and "blocks.0.mlp.fc1.weight" in state and len(_shape(state, _PROJECTION)) == 4


def _shape(state: Mapping[str, Any], name: str) -> tuple[int, ...]:
    found = state.get(name)
    return tuple(found.shape if isinstance(found, Tensor) else found or ())


def _identity(state: Mapping[str, Any]) -> dict[str, int]:
    """What tells one foundation model from another."""
    width, _, patch, _ = _shape(state, _PROJECTION)
    blocks = {name.split(".")[1] for name in state if name.startswith("blocks.")}
    return {
        "width": width,
        "patch": patch,
        "blocks": len(blocks),
        "registers": _registers(state),
    }


def _require_same(weights: SavedWeights, wanted: Mapping[str, Any], preset: Preset) -> None:
    held, expected = _identity(weights.state), _identity(wanted)
    if held == expected:
        return
    of_rows = {
        name: (row.width, row.patch, row.registers)
        for name, row in PRESETS.items()
        if name != preset.name and (row.width, row.patch, row.registers) == tuple(held[key] for key in _OF_ROWS)
    }
    instead = (
        f"Its numbers are those of {', '.join(of_rows)}: name that, " if of_rows else "Name its own architecture, "
    )
    raise UserError(
        f"weights {weights.path!r}: are not of {preset.name}: the file has {_said(held)}, and {preset.name} "
        f"{_said(expected)}.\n{instead}, or fetch {preset.file} of https://huggingface.co/{preset.repository}."
    )


_OF_ROWS = ("width", "patch", "registers")


def _said(identity: Mapping[str, int]) -> str:
    return (
        f"{identity['blocks']} blocks of width {identity['width']}, patches of {identity['patch']} px and "
        f"{identity['registers']} registers"
    )


def _perceptron(state: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """A gated perceptron halves between its layers; the hidden width is what the file has."""
    first, second, gate = "blocks.0.mlp.fc1.weight", "blocks.0.mlp.fc2.weight", "blocks.0.mlp.fc1_g.weight"
    names = (first, second, gate, "blocks.0.mlp.fc1_x.weight")
    if all(_shape(state, name) == _shape(wanted, name) for name in names):
        return {}
    hidden, width = _shape(state, first)
    between = _shape(state, second)[1]
    layer = {"mlp_layer": "SwiGLUPacked", "act_layer": "silu"} if hidden == 2 * between else {"mlp_layer": "Mlp"}
    plain = {} if "act_layer" in layer else {"act_layer": "gelu"}
    return {**layer, **plain, "mlp_ratio": (hidden + 0.5) / width}  # half a unit against rounding down


def _layer_scale(state: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    held, expected = ("blocks.0.ls1.gamma" in one for one in (state, wanted))
    return {} if held == expected else {"init_values": 1e-5 if held else None}


def _tokens(state: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Registers by their tensor; whether they and the class token have positions, by the square that is left."""
    told: dict[str, Any] = {}
    if _registers(state) != _registers(wanted):
        told["reg_tokens"] = _registers(state)
    patches_alone = _positions_of_patches_alone(state)
    if patches_alone is not None and patches_alone != _positions_of_patches_alone(wanted):
        told["no_embed_class"] = patches_alone
    return told


def _registers(state: Mapping[str, Any]) -> int:
    return (_shape(state, _REGISTERS) or (0, 0))[1]


def _positions_of_patches_alone(state: Mapping[str, Any]) -> bool | None:
    """None where there are no positions, or where their number leaves it open."""
    if not _shape(state, _POSITIONS):
        return None
    number = _shape(state, _POSITIONS)[1]
    alone, together = (isqrt(patches) ** 2 == patches for patches in (number, number - 1 - _registers(state)))
    return alone if alone != together else None
