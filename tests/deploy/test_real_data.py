"""On real images: the bundle alone equals the run; whole numbers serve ResNet-18 and do not serve MobileNetV3."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

from preceptor.deploy.export import Options, export
from preceptor.deploy.plan import Pictures
from preceptor.deploy.predict import predict
from preceptor.recipe import load_recipe
from preceptor.training.run import train_recipe

from .test_export import run_script

RECIPES = Path(__file__).parents[2] / "recipes"


def trained(name, changes, real_data, out, monkeypatch):
    monkeypatch.setenv("PRECEPTOR_DATA", str(real_data))
    recipe, _ = load_recipe(RECIPES / f"{name}.yaml", ["technique.name=baseline", "networks.count=1", *changes])
    train_recipe(recipe, out, device="cpu", console=Console(file=StringIO(), width=500))
    table = pd.read_csv(out / "predictions" / "test.csv", dtype={"id": str})
    return table[table["network"] == "S1"].set_index("id")


def links(folder, files):
    folder.mkdir()
    for file in files:
        (folder / file.name).symlink_to(file)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1200)  # ResNet-18 trains for minutes, on a busy machine for five
@pytest.mark.parametrize(("network", "kept"), [("resnet18", True), ("mobilenetv3_small_050", False)])
def test_cell_types(network, kept, real_data, tmp_path, monkeypatch):
    changes = [f"networks.student={{architecture: {network}, weights: none}}", "training.epochs=6"]
    expected = trained("crc_small", changes, real_data, tmp_path / "run", monkeypatch)
    own = expected[[f"p_{label}" for label in range(4)]].to_numpy()
    patches = real_data / "CRCHistoPhenotypes" / "patch_images"
    images = links(tmp_path / "images", [patches / f"{name}.png" for name in expected.index])
    export(tmp_path / "run", tmp_path / "float", Options(int8="off"))
    found = run_script(tmp_path / "float", images, tmp_path / "answers")
    found = found.set_index(found["file"].str.removesuffix(".png")).loc[expected.index]
    shares = [name for name in found.columns if name.startswith("p_")]
    assert len(found) == 1193
    assert np.abs(found[shares].to_numpy() - own).max() <= 1e-4

    bundle = export(tmp_path / "run", tmp_path / "whole", Options(int8="force"))
    tries = bundle.facts["int8"]["tries"]
    print(network, json.dumps(tries), bundle.facts["serves"])
    assert bundle.facts["int8"]["kept"] == kept
    if kept:
        assert tries[-1]["agreement"] >= 0.99
        sizes = [(tmp_path / "whole" / name).stat().st_size for name in ("model.int8.onnx", "model.onnx")]
        assert sizes[0] <= 0.3 * sizes[1]
        whole = run_script(tmp_path / "whole", images, tmp_path / "whole-answers")
        same = whole.set_index(whole["file"].str.removesuffix(".png")).loc[expected.index, "label"] == found["label"]
        assert same.mean() >= 0.99
    else:
        assert len(tries) == 3
        assert all(one["objections"] for one in tries)


@pytest.mark.slow
def test_nuclei_on_tiles(real_data, tmp_path, monkeypatch):
    student = ["networks.student.encoder=mobilenetv3_small_050", "networks.student.weights=none"]
    trained("monuseg_small", [*student, "training.epochs=2"], real_data, tmp_path / "run", monkeypatch)
    images = real_data / "MoNuSeg" / "MoNuSegTestData" / "tissue_image"
    predict(tmp_path / "run", [images], tmp_path / "answers", pictures=Pictures(masks=True), device="cpu")
    export(tmp_path / "run", tmp_path / "bundle", Options(int8="off"))
    found = run_script(tmp_path / "bundle", images, tmp_path / "alone")
    assert len(found) == 11
    equal = []
    for name in found["file"]:
        masks = [np.array(Image.open(tmp_path / who / "masks" / f"{name}.png")) for who in ("answers", "alone")]
        assert masks[0].shape == (1000, 1000)
        equal.append((masks[0] == masks[1]).mean())
    assert np.mean(equal) >= 0.9999
