"""Every script in benchmarks/ does its work at a tiny size: what is documented as measured can be measured again."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from ..study.studies import raw

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

CELLS = ("RECIPE", "--set", "training.epochs=1", "--workers", "1", "--out", "OUT")
STUDY = (
    "--teacher",
    "resnet10t",
    "--student",
    "test_resnet",
    "--steps",
    "2",
    "--size",
    "32",
    "--longest",
    "4",
    "--rounds",
    "1",
    "--threads",
    "1",
)
SCALE = ("--sizes", "400", "800", "--open", "1000", "--rounds", "1", "--steps", "3", "--batches", "5", "--threads", "1")
PEERS = ("--tiny", "--rounds", "1", "--threads", "1")

CONTESTS = {
    "r50-r18-8": ["ratio to plain loop", "preceptor float32, teacher read", "preceptor bf16 "],
    "kd-ml-8": ["KD+ML", "ratio to plain loop"],
    "unet-4": ["U-Net", "preceptor bf16, teacher read"],
}
"""The kinds of work that peers.py knows -> what it prints."""

RUNS = {
    "cache": (("cache", "--tiny", "--rounds", "2"), ["R50 to R18", "U-Net R34 to R18", "ratio"]),
    "cells": (("cells", *CELLS, "--cells", "few"), ["| baseline | 1 |", "| kd_ml-diverse | 1 |", "| teacher | 1 |"]),
    "cka": (("cka", "--images", "8", "--batch", "4", "--threads", "1"), ["8 images in batches of 4"]),
    "data": (
        ("data", "--images", "160", "--rounds", "1", "--student", "test_resnet", "--threads", "1"),
        ["packed set + Batches", "waits for"],
    ),
    "deploy": (
        ("deploy", "--sizes", "32", "--batches", "1", "--threads", "1", "--rounds", "3", "--seconds", "0.1"),
        ["| ResNet-18 | 32 | 1 | 1 |", "| U-Net", "ONNX of MixNet-S at 32 px written in"],
    ),
    "grids": (("grids", "--tiny", "--seeds", "2"), ["probe, PCA 16: ", "student, pooled 2×2: "]),
    "serve": (("serve", "--seconds", "3", "--connections", "8"), ["p50"]),
    "outside": (("outside", "RECIPE", "--out", "OUT"), ["| recipe | "]),
    "false_claims": (
        ("false_claims", "--tables", "4", "--checked", "1"),
        ["| 24 | 10 | 100 |", "better by 5.5 points"],
    ),
    "losses of classes": (("losses", "--tiny", "--rounds", "1"), ["kd ", "crd ", "reviewkd "]),
    "losses of masks": (
        ("losses", "--tiny", "--rounds", "1", "--task", "segmentation"),
        ["seg_kd ", "cwd ", "skd "],
    ),
    **{f"peers, {cell}": (("peers", *PEERS, "--cells", cell), ["torchdistill"]) for cell in CONTESTS},
    **{
        f"plain loop, {cell}": (("peers", *PEERS, "--cells", cell, "--peers", "plain loop"), words)
        for cell, words in CONTESTS.items()
    },
    "timm": (("peers", *PEERS, "--cells", "r50-r18-8", "--peers", "timm"), ["ratio to timm"]),
    "scale": (("scale", *SCALE), ["opening a packed set of 1,000", "first step after", "training      800 images"]),
    "step_overhead": (("step_overhead", "--steps", "1", "--rounds", "1"), ["preceptor: ", "bare loop: ", "ratio "]),
    "study, offline": (
        ("study", *STUDY, "--parts", "offline", "--precisions", "float32"),
        ["counted in two epochs", "preceptor float32, read"],
    ),
    "study, all": (
        ("study", *STUDY, "--parts", "all", "--precisions", "bf16", "--data", "packed"),
        ["counted in two epochs", "preceptor bf16, computed"],
    ),
}
"""Name -> script with arguments, and what it prints."""

FAILS = {"false_claims"}
"""So few tables show nothing, and it says so."""

WANTED = {**{f"peers, {cell}": "torchdistill" for cell in CONTESTS}, "timm": "timm.task"}
"""Name -> what the extra `peers` brings for it."""

SHARED = {"log_prior", "held", "made_up", "peer_loops", "peer_setup", "peer_torchdistill", "plain_cells", "timing"}
"""What scripts share: none itself."""


def test_no_script_is_forgotten():
    there = {path.stem for path in BENCHMARKS.glob("*.py")}
    assert {script for (script, *_), _ in RUNS.values()} == there - SHARED
    scripts = {name for name in there if '__name__ == "__main__"' in (BENCHMARKS / f"{name}.py").read_text()}
    assert scripts == there - SHARED


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", RUNS)
def test_a_script_runs(name, tmp_path):
    if name in WANTED and find_spec(WANTED[name]) is None:
        pytest.skip(f"{WANTED[name]} is not installed: it comes with the extra `peers`")
    (script, *arguments), words = RUNS[name]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(raw()["recipe"]))
    places = {"RECIPE": str(tmp_path / "recipe.yaml"), "OUT": str(tmp_path / "out")}
    command = [sys.executable, str(BENCHMARKS / f"{script}.py"), *(places.get(word, word) for word in arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PRECEPTOR_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=360)
    assert done.returncode == (name in FAILS), done.stdout + done.stderr
    assert [word for word in words if word not in done.stdout] == [], done.stdout


@pytest.mark.skipif(find_spec("torchdistill") is not None, reason="torchdistill is installed")
@pytest.mark.slow
def test_peers_that_are_not_there_are_named_before_anything_is_timed(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "peers.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "not installed: torchdistill. Take the extra `peers`" in done.stderr
