"""Whatever a recipe can train exports, with parity: teachers with adapters, exits, fused heads, chains, committees."""

from io import StringIO

import pytest
from rich.console import Console

from preceptor.deploy.export import Options, export
from preceptor.recipe import parse_recipe
from preceptor.training.run import train_recipe

NEW = {"weights": "none"}
RESNET = {"architecture": "test_resnet", **NEW}
RESNETS = {"teacher": {"architecture": "resnet10t", **NEW}, "student": RESNET, "count": 2}
UNET = {"architecture": "unet", "options": {"decoder_channels": [16, 8, 8, 8, 8]}, **NEW}
MOBILE = {"encoder": "mobilenetv3_small_050", **UNET}
UNETS = {"teacher": {"encoder": "resnet10t", **UNET}, "student": MOBILE, "count": 2}

KINDS = {
    "adapter": ("classification", {"name": "kd_ml", "strategy": "features"}, RESNETS),
    "exits": ("classification", {"name": "self_distill"}, {"student": RESNET, "count": 1}),
    "fused": ("classification", {"name": "kthf2"}, RESNETS),
    "chain": ("classification", {"name": "graft"}, RESNETS),
    "committee": ("classification", {"name": "multi_teacher", "folds": 2}, RESNETS),
    "sizes of their own": (
        "classification",
        {"name": "kthf2"},
        {"teacher": RESNETS["teacher"], "students": [{**RESNET, "input_size": 48}, RESNET]},
    ),
    "transformer": (
        "classification",
        {"name": "baseline"},
        {"student": {"architecture": "test_vit", **NEW, "input_size": 160}, "count": 1},
    ),
    "masks": ("segmentation", {"name": "kd_ml", "strategy": "diverse"}, UNETS),
    "masks of a committee": ("segmentation", {"name": "multi_teacher", "folds": 2}, UNETS),
    "pyramid": (
        "segmentation",
        {"name": "baseline"},
        {"student": {**NEW, "architecture": "fpn", "encoder": "tu-test_resnet"}, "count": 1},
    ),
    "a fixed size alone": (
        "segmentation",
        {"name": "baseline"},
        {"student": {**NEW, "architecture": "upernet", "encoder": "tu-test_resnet"}, "count": 1},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_network_of_a_run_exports(kind, tmp_path):
    task, technique, networks = KINDS[kind]
    size = 64 if task == "segmentation" else 32
    options = {"task": task, "size": size, "images": 48, "patients": 8}
    recipe = {
        "task": task,
        "data": {"source": "phantom", "options": options, "image_size": size},
        "networks": networks,
        "technique": technique,
        "training": {"epochs": 1, "batch_size": 8, "lr": 1e-3, "threads": 1},
    }
    train_recipe(parse_recipe(recipe), tmp_path / "run", device="cpu", console=Console(file=StringIO(), width=500))
    names = sorted(file.parent.name for file in (tmp_path / "run" / "networks").glob("*/config.json"))
    assert names
    for name in names:
        bundle = export(tmp_path / "run" / "networks" / name, tmp_path / name, Options(int8="off"))
        assert bundle.facts["parity"]["images"] >= 48 * 0.8
    if kind == "a fixed size alone":
        assert bundle.facts["input"]["dynamic"] == ["batch"]
    if kind == "pyramid":
        assert bundle.facts["input"]["dynamic"] == ["batch", "height", "width"]
    chosen = export(tmp_path / "run", tmp_path / "chosen", Options(int8="off"))
    assert chosen.facts["run"]["network"] in names
