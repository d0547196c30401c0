"""Vision transformers under the names that other libraries give their tensors, renamed by rule to timm's."""

import re
from collections.abc import Mapping
from math import isqrt
from typing import Any

import torch
from torch import Tensor

_MARK = "embeddings.patch_embeddings.projection.weight"  # of transformers' ViT, Dinov2 and Dinov2WithRegisters
_TOKENS = {
    "embeddings.cls_token": "cls_token",
    "embeddings.register_tokens": "reg_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
    "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
    "layernorm.weight": "norm.weight",
    "layernorm.bias": "norm.bias",
}
_BLOCK = re.compile(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias|lambda1)")
_INSIDE = {
    "norm1": "norm1",
    "norm2": "norm2",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "attention.output.dense": "attn.proj",
    "layer_scale1": "ls1",
    "layer_scale2": "ls2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "mlp.weights_in": "mlp.fc1",
    "mlp.weights_out": "mlp.fc2",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}
_QKV = tuple(f"attention.attention.{name}" for name in ("query", "key", "value"))

_DINOV2 = (("register_tokens", "reg_token"), (".mlp.w12.", ".mlp.fc1."), (".mlp.w3.", ".mlp.fc2."))
_CHUNKED = re.compile(r"blocks\.\d+\.(\d+)\.")


def in_timm_names(found: object) -> tuple[object, str]:
    """``found`` with every state dict of a vision transformer in timm's names, and whose names they were, or "".

    Two layouts are known: that of Hugging Face's transformers (ViT, Dinov2, Dinov2WithRegisters), and that of Meta's
    DINOv2. Everything else is left as it is.
    """
    if not isinstance(found, Mapping):
        return found, ""
    tensors: dict[str, Any] = {name: value for name, value in found.items() if isinstance(value, Tensor)}
    for rename, library in ((_from_transformers, "transformers"), (_from_dinov2, "DINOv2")):
        renamed = rename(tensors)
        if renamed is not None:
            return renamed, library
    parts = {name: in_timm_names(value) for name, value in found.items()}
    return {name: part for name, (part, _) in parts.items()}, next((said for _, said in parts.values() if said), "")


def _from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    mark = next((name for name in state if isinstance(name, str) and name.endswith(_MARK)), None)
    if mark is None:
        return None
    prefix = mark.removesuffix(_MARK)
    renamed: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        inside = name.removeprefix(prefix)
        block = _BLOCK.fullmatch(inside)
        if inside in _TOKENS:
            renamed[_TOKENS[inside]] = tensor
        elif block and block[2] in _QKV:
            parts.setdefault(f"blocks.{block[1]}.attn.qkv.{block[3]}", {})[block[2]] = tensor
        elif block and block[2] in _INSIDE:
            kind = "gamma" if block[3] == "lambda1" else block[3]
            renamed[f"blocks.{block[1]}.{_INSIDE[block[2]]}.{kind}"] = tensor
    for name, three in parts.items():
        if len(three) == len(_QKV):
            renamed[name] = torch.cat([three[part] for part in _QKV])
    return _positions_of_patches(renamed)


def _from_dinov2(state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    if not any("register_tokens" in name or ".mlp.w12." in name or "mask_token" in name for name in state):
        return None
    if not all(any(name.endswith(one) for name in state) for one in ("patch_embed.proj.weight", "cls_token")):
        return None
    renamed = {}
    for name, tensor in state.items():
        if name.endswith("mask_token"):  # of training alone
            continue
        for theirs, ours in _DINOV2:
            name = name.replace(theirs, ours)
        renamed[_CHUNKED.sub(r"blocks.\1.", name)] = tensor
    return _positions_of_patches(renamed)


def _positions_of_patches(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The class token's position added to it where there are registers, which have no positions: so timm has it."""
    for name in [name for name in state if name.endswith("reg_token")]:
        prefix = name.removesuffix("reg_token")
        positions, token = state.get(f"{prefix}pos_embed"), state.get(f"{prefix}cls_token")
        if positions is not None and token is not None and isqrt(positions.shape[1] - 1) ** 2 == positions.shape[1] - 1:
            state[f"{prefix}cls_token"] = token + positions[:, :1]
            state[f"{prefix}pos_embed"] = positions[:, 1:]
    return state
