"""Every kind of teacher's file that people bring, through the command line: what is taken, what is refused and how."""

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save

from preceptor.networks import not_weights
from preceptor.networks.presets import PRESETS

from ..command import preceptor
from ..networks.test_foundation import HTML, POINTER, SMALL, plain, side

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Case:
    """What lies there, how the recipe differs, and what is to be said.

    Args:
        file: its name; ``.`` is the folder itself.
        content: bytes, or what is made of the tensors of UNI's miniature.
    """

    file: str
    content: bytes | Callable[[State], Any]
    code: int
    said: tuple[str, ...]
    teacher: dict[str, Any] = field(default_factory=dict)


class _Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def cut_short(state: State) -> bytes:
    content = save(state)
    return content[: len(content) // 2]


def other_prefix(prefix: str) -> Callable[[State], State]:
    return lambda state: {prefix + name: tensor for name, tensor in state.items()}


def as_type(dtype: torch.dtype) -> Callable[[State], State]:
    return lambda state: {name: tensor.to(dtype) for name, tensor in state.items()}


def as_transformers(state: State) -> State:
    """As ViT's checkpoints of that library call them; query, key and value apart."""
    found = {
        "embeddings.cls_token": state["cls_token"],
        "embeddings.position_embeddings": state["pos_embed"],
        "embeddings.patch_embeddings.projection.weight": state["patch_embed.proj.weight"],
        "embeddings.patch_embeddings.projection.bias": state["patch_embed.proj.bias"],
        "layernorm.weight": state["norm.weight"],
        "layernorm.bias": state["norm.bias"],
    }
    for block in range(SMALL["depth"]):
        mine, theirs = f"blocks.{block}.", f"encoder.layer.{block}."
        for end in ("weight", "bias"):
            for name, part in zip(("query", "key", "value"), state[f"{mine}attn.qkv.{end}"].chunk(3), strict=True):
                found[f"{theirs}attention.attention.{name}.{end}"] = part.clone()
            for name, other in (
                ("attn.proj", "attention.output.dense"),
                ("mlp.fc1", "intermediate.dense"),
                ("mlp.fc2", "output.dense"),
                ("norm1", "layernorm_before"),
                ("norm2", "layernorm_after"),
            ):
                found[f"{theirs}{other}.{end}"] = state[f"{mine}{name}.{end}"]
    return found


def larger_grid(state: State) -> State:
    return {**state, "pos_embed": torch.zeros(1, 1 + 16, SMALL["embed_dim"])}


CASES = {
    "a page saved as .bin": Case("t.bin", HTML, 2, ("is a web page (HTML), not weights", "agree to the terms")),
    "a pointer of Git LFS": Case("t.bin", POINTER, 2, ("is a pointer of Git LFS", "git lfs pull")),
    "safetensors cut short": Case("t.safetensors", cut_short, 2, ("damaged or no safetensors file",)),
    "a pickle with code": Case("t.bin", pickle.dumps({"w": _Runs()}), 2, ("refused.", "Nothing in it was run")),
    "another row's file": Case(
        "t.bin", dict, 2, ("are not of uni2-h", "fetch pytorch_model.bin"), {"architecture": "uni2-h", "input_size": 42}
    ),
    "names of transformers": Case("t.bin", as_transformers, 0, ("named as transformers",)),
    "module. before names": Case("t.bin", other_prefix("module."), 0, ()),
    "backbone. before names": Case("t.bin", other_prefix("backbone."), 0, ()),
    "teacher. before names": Case("t.bin", other_prefix("teacher."), 0, ()),
    "float16": Case("t.bin", as_type(torch.float16), 0, ("holds float16 numbers, which are used as float32",)),
    "bfloat16": Case("t.safetensors", as_type(torch.bfloat16), 0, ("holds bfloat16 numbers, which are used as",)),
    "with ImageNet's head": Case(
        "t.bin", lambda state: {**state, "head.weight": torch.zeros(1000, 32), "head.bias": torch.zeros(1000)}, 0, ()
    ),
    "with another head": Case(
        "t.bin", lambda state: {**state, "head.weight": torch.zeros(7, 32), "head.bias": torch.zeros(7)}, 0, ()
    ),
    "with half a head": Case("t.bin", lambda state: {**state, "head.weight": torch.zeros(7, 32)}, 2, ("head.bias",)),
    "positions of another grid": Case("t.bin", larger_grid, 0, ()),
    "images that patches do not divide": Case("t.bin", dict, 2, ("input_size",), {"input_size": 45}),
    "nothing there": Case(".", b"", 2, ("no such file or folder",), {"weights": "gone.bin"}),
    "a folder as architecture and weights: none": Case(
        ".", b"", 2, ("weights",), {"architecture": "local-dir:.", "weights": "none", "options": {}}
    ),
}


def said_of(case: Case, folder: Path) -> Any:
    """What ``preceptor embed`` answers with such a teacher."""
    preset = PRESETS["uni"]
    path = folder / case.file
    if path != folder:
        content = case.content if isinstance(case.content, bytes) else case.content(plain(preset).state_dict())
        if not isinstance(content, bytes) and path.suffix == ".safetensors":
            content = save(content)
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    teacher = {
        "architecture": "uni",
        "weights": str(path),
        "input_size": side(preset),
        "options": SMALL,
        **case.teacher,
    }
    recipe = {
        "task": "classification",
        "data": {"source": "images", "path": str(folder), "image_size": side(preset)},
        "networks": {"teacher": teacher, "student": {"architecture": "test_resnet", "weights": "none"}, "count": 1},
        "technique": {"name": "distil_features"},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "images").mkdir()
    Image.fromarray(np.full((48, 48, 3), 90, dtype=np.uint8)).save(folder / "images/one.png")
    return preceptor("embed", folder / "recipe.yaml", folder / "images", "--out", folder / "out", "--device", "cpu")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_is_brought_is_taken_or_named(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    answer = said_of(case, tmp_path)
    assert answer.code == case.code, answer.error + answer.out
    words = " ".join((answer.error + answer.out).split())
    assert all(part in words for part in case.said), words
    assert "Traceback" not in words
    assert (tmp_path / "out").exists() == (case.code == 0)


def test_a_file_that_memory_cannot_hold_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(not_weights, "_memory_available", lambda: 1000)
    answer = said_of(Case("t.bin", dict, 2, ()), tmp_path)
    assert answer.code == 2
    assert "of which reading takes about" in " ".join(answer.error.split())


def test_a_gated_model_without_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("preceptor.networks.foundation.out_of_reach", lambda *_, **__: "huggingface.co is not there")
    answer = said_of(Case(".", b"", 2, (), {"weights": "imagenet"}), tmp_path)
    words = " ".join(answer.error.split())
    assert answer.code == 2
    assert "its weights cannot be had: huggingface.co is not there" in words
    assert "agree to the terms there (the repository is gated)" in words
