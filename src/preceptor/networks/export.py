"""Saved networks: a folder that timm or segmentation-models-pytorch loads without preceptor.

``model.safetensors`` holds the weights, ``config.json`` what the library needs to know, and below
``_preceptor`` what a stranger needs besides (see ``docs/exported.md``) and what
:func:`preceptor.composed.load_network` needs.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from preceptor.files import write_json, write_with
from preceptor.networks import heads
from preceptor.networks.blueprint import Blueprint
from preceptor.networks.preprocessing import Preprocessing
from preceptor.networks.verify import OWN_KEY, sealed_config

__all__ = ["CONFIG", "OWN_KEY", "WEIGHTS", "save_network", "smp_config", "timm_config"]

CONFIG, WEIGHTS = "config.json", "model.safetensors"

_KEPT = ("pool_size", "first_conv", "classifier", "fixed_input_size")


def save_network(folder: Path, module: nn.Module, config: dict[str, Any], classes: Sequence[str]) -> None:
    """Write both files, the weights first; each is complete or as it was.

    Args:
        config: its part ``_preceptor`` is given the checksums of the weights and of the config.
    """
    state = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in module.state_dict().items()
    }
    # One entry only: safetensors writes several in random order, and equal weights must give equal files.
    metadata = {"classes": json.dumps(list(classes))}
    content = save(state, metadata=metadata)
    write_with(folder / WEIGHTS, lambda path: path.write_bytes(content))
    write_json(folder / CONFIG, sealed_config(config, hashlib.sha256(content).hexdigest()))


def timm_config(
    model: nn.Module,
    blueprint: Blueprint,
    images: Preprocessing,
    *,
    adapter: nn.Module | None,
    head: nn.Module | None,
) -> dict[str, Any]:
    """What ``timm.create_model("local-dir:...")`` and timm's evaluation transform read, plus our own part."""
    architecture, note = blueprint.spec.architecture.partition(".")[0], None  # without a tag of foreign weights
    if adapter is not None or head is not None:
        extra = "a head of its own" if head is not None else "an adapter before its head"
        note = f"{architecture} with {extra}: load it with preceptor.composed.load_network"
    cfg: dict[str, Any] = model.pretrained_cfg  # type: ignore[assignment]  # timm's, a plain dict
    is_other = blueprint.channels != 3  # timm would adapt the first convolution to them once more, where it is named
    return {
        "architecture": note or architecture,
        "num_classes": len(blueprint.classes),
        "num_features": model.num_features,
        "label_names": list(blueprint.classes),
        "model_args": {**blueprint.spec.options, **({"in_chans": blueprint.channels} if is_other else {})},
        "pretrained_cfg": {
            **{key: cfg[key] for key in _KEPT if cfg.get(key) is not None and not (is_other and key == "first_conv")},
            **images.in_timms_terms(blueprint),
            "num_classes": len(blueprint.classes),
        },
        OWN_KEY: {
            **blueprint.to_json(),
            **images.described(blueprint),
            "note": note,
            "head": None if head is None else heads.describe(head),
        },
    }


def smp_config(model: nn.Module, blueprint: Blueprint, images: Preprocessing) -> dict[str, Any]:
    """What ``segmentation_models_pytorch.from_pretrained`` reads, plus our own part.

    Keys with a leading underscore are ignored there, so everything about images and classes is in our part.
    """
    settings: dict[str, Any] = dict(model.config)  # type: ignore[arg-type]  # smp's, a plain dict
    own = {
        **blueprint.to_json(),
        **images.described(blueprint),
        "input_size": [blueprint.channels, *blueprint.network_size],
        "note": None,
        "head": None,
    }
    return {"_model_class": type(model).__name__, **settings, "encoder_weights": None, OWN_KEY: own}
