"""``docs/exported.md``: its scripts, run where preceptor cannot be imported, give a run's predictions again."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from rich.console import Console

from preceptor.recipe import parse_recipe
from preceptor.training.run import train_recipe

PAGE = (Path(__file__).parents[1] / "docs" / "exported.md").read_text(encoding="utf-8")
SCRIPTS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
CLASSIFIER, SEGMENTER, TILES = SCRIPTS
BLOCKED = (
    'import sys; sys.modules["preceptor"] = None  # importing it would fail\n'
    'sys.modules["wandb"] = None  # as where it is not installed: timm would wait for it\n'
)

HALVES = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
SMALL = {"augment": {}, "training": {"epochs": 1, "batch_size": 8, "lr": 0.01, "threads": 1}}


def coloured(rng, number, shape, dtype):
    """Noise with an edge whose place and colour depend on the class, so that geometry and colour matter."""
    top = np.iinfo(dtype).max
    pixels = rng.integers(0, top // 2, (*shape, 3))
    pixels[: shape[0] // 3, :, number % 3] = top - top // 8
    return pixels.astype(dtype)


def class_folders(root):
    """Two classes of PNG, JPEG and 16-bit TIFF, grey and RGB, of odd sizes, wide and tall, larger and smaller."""
    rng = np.random.default_rng(3)
    shapes = [(37, 61), (64, 41), (19, 23), (50, 50), (24, 33), (31, 24)]
    for number in range(48):
        folder = root / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        shape, kind = shapes[number % len(shapes)], number // 2 % 4
        if kind < 2:
            image = Image.fromarray(coloured(rng, number, shape, np.uint8))
            image.save(folder / f"{number}.{'png' if kind else 'jpg'}")
        else:
            pixels = coloured(rng, number, shape, np.uint16)
            tifffile.imwrite(folder / f"{number}.tif", pixels if kind == 2 else pixels[..., 0])
    return root


def trained(tmp_path, images, network, split=(0.4, 0.2, 0.4), **more):
    """The run folder of a recipe on ``images`` with two students, and what it said."""
    task = more.pop("task", "classification")
    said = io.StringIO()
    recipe = parse_recipe(
        {
            "name": "stranger",
            "task": task,
            "data": {"source": "folder", "path": str(images), "image_size": 24, **more.pop("data")},
            "split": {"by": "image", "fractions": list(split)},
            "networks": {"student": network, "count": 2},
            "technique": {"name": "baseline"},
            **SMALL,
            **more,
        }
    )
    train_recipe(recipe, tmp_path / "run", device="cpu", console=Console(file=said, width=500))
    return tmp_path / "run", said.getvalue()


def strangers_answer(script, *arguments):
    """The table that a script of the page prints, by file name."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BLOCKED + script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = "\n".join(line for line in done.stdout.splitlines() if "," in line)  # smp says that it loads
    table = pd.read_csv(io.StringIO(rows), header=None, index_col=0, dtype={0: str})
    return table.rename(index=lambda name: Path(name).stem)


def predictions(run, network):
    """The run's own table of a network, by file name without ending."""
    table = pd.read_csv(run / "predictions" / "test.csv", dtype={"id": str})
    return table[table["network"] == network].set_index("id").rename(index=lambda name: Path(name).stem)


def require_same_classes(run, data, networks):
    for network in networks:
        expected = predictions(run, network)
        files = [next(data.rglob(f"{name}.*")) for name in expected.index]
        assert {file.suffix for file in files} == {".png", ".jpg", ".tif"}
        found = strangers_answer(CLASSIFIER, run / "networks" / network, *files)
        own = expected[["p_0", "p_1"]].to_numpy()
        assert np.ptp(own[:, 0]) > 0.01, "answers that are all the same compare nothing"
        np.testing.assert_allclose(found.loc[expected.index].to_numpy(), own, atol=1e-4)


RESNET = {"architecture": "test_resnet", "weights": "none"}
CLASSIFIERS = {
    "pad": ({"resize": "pad"}, RESNET),
    "crop": ({"resize": "crop"}, RESNET),
    "squash": ({"resize": "squash"}, RESNET),
    "pad, own mean": ({"resize": "pad"}, {**RESNET, "mean": [0.7, 0.6, 0.3], "std": [0.2, 0.3, 0.4]}),
    "crop, not square": ({"resize": "crop", "image_size": [33, 24]}, RESNET),
    "pad, not square": ({"resize": "pad", "image_size": [24, 33]}, RESNET),
    "squash, larger network": ({"resize": "squash"}, {**RESNET, "input_size": 40}),
    "pad, smaller network": ({"resize": "pad", "image_size": [31, 45]}, {**RESNET, "input_size": 24}),
    "squash, transformer": (
        {"resize": "squash", "image_size": 32},
        {"architecture": "vit_tiny_patch16_224", "weights": "none"},
    ),
}


@pytest.mark.parametrize(
    "case", [case if case == "pad" else pytest.param(case, marks=pytest.mark.slow) for case in CLASSIFIERS]
)
def test_a_stranger_classifies_as_the_run_did(case, tmp_path):
    data = class_folders(tmp_path / "data")
    rule, network = CLASSIFIERS[case]
    run, said = trained(tmp_path, data, network, data=rule)
    require_same_classes(run, data, ["S1"] if case == "pad" else ["S1", "S2"])
    assert "timm's `border`" not in said
    assert json.loads((run / "result.json").read_text())["chosen"] in ("S1", "S2")


@pytest.mark.slow
def test_padding_is_the_first_students_and_a_network_of_another_mean_is_named(tmp_path):
    """The student is right with timm alone; of the other one the run and its config say what timm does otherwise."""
    data = class_folders(tmp_path / "data")
    run, said = trained(
        tmp_path,
        data,
        None,
        data={"resize": "pad"},
        networks={"students": [{**RESNET, **HALVES}, {**RESNET, "mean": [0.2, 0.2, 0.2], "std": [0.2, 0.2, 0.2]}]},
    )
    require_same_classes(run, data, ["S1"])
    assert "S2 saw images padded with (128, 128, 128)" in said
    assert "S1 saw" not in said
    own = {name: json.loads((run / f"networks/{name}/config.json").read_text())["_preceptor"] for name in ("S1", "S2")}
    assert own["S1"]["timms_transform"].startswith("does the same")
    assert "it fills with (51, 51, 51)" in own["S2"]["timms_transform"]
    assert {tuple(step["fill"]) for one in own.values() for step in one["preprocessing"] if "fill" in step} == {
        (128, 128, 128)
    }


def image_and_mask_folders(root, shapes):
    rng = np.random.default_rng(5)
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for number in range(20):
        shape = shapes[number % len(shapes)]
        mask = np.zeros(shape, dtype=np.uint8)
        mask[shape[0] // 4 : shape[0] // 2 + number, shape[1] // 5 : shape[1] // 2] = 255
        pixels = coloured(rng, number, shape, np.uint8)
        pixels[mask > 0, 0] = 255
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")
    return root


UNET = {
    "architecture": "unet",
    "encoder": "tu-test_resnet",
    "weights": "none",
    "options": {"decoder_channels": [16, 8, 8, 4, 4]},
}
SEGMENTERS = {
    "crop": (SEGMENTER, {"resize": "crop", "image_size": 64}, UNET),
    "squash": (SEGMENTER, {"resize": "squash", "image_size": [64, 96]}, UNET),
    "pad": (SEGMENTER, {"resize": "pad", "image_size": 64}, {**UNET, **HALVES}),
    "squash, larger network": (SEGMENTER, {"resize": "squash", "image_size": 50}, {**UNET, "input_size": 64}),
    "tiles": (TILES, {"tile": {"size": 64, "overlap": 16}}, UNET),
    "tiles, larger network": (TILES, {"tile": {"size": 48}}, {**UNET, "input_size": 64}),
}


@pytest.mark.parametrize(
    "case", [case if case == "crop" else pytest.param(case, marks=pytest.mark.slow) for case in SEGMENTERS]
)
def test_a_stranger_segments_as_the_run_did(case, tmp_path):
    data = image_and_mask_folders(tmp_path / "data", [(71, 95), (96, 64), (41, 53), (64, 64)])
    script, rule, network = SEGMENTERS[case]
    run, _ = trained(tmp_path, data, network, task="segmentation", data=rule)
    expected = predictions(run, "S1")
    names = [f"{stem}.png" for stem in expected.index]
    found = strangers_answer(script, run / "networks" / "S1", data / "images", data / "masks", *names)
    counts = expected[["tp", "fp", "fn", "tn"]]
    assert counts["tp"].sum() > 0
    assert counts["fp"].sum() > 0
    np.testing.assert_array_equal(found.loc[expected.index].to_numpy(), counts.to_numpy())


def test_the_scripts_are_short():
    classifier, segmenter = (sum(1 for line in script.splitlines() if line) for script in (CLASSIFIER, SEGMENTER))
    assert classifier <= 15
    assert segmenter <= 20
    assert "preceptor" not in "".join(SCRIPTS).replace('["_preceptor"]', "")
