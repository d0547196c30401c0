"""What it costs to store a token grid smaller: a probe and a distilled student, on the whole grid, pooled, on axes.

On patches of CRCHistoPhenotypes, the teacher EfficientNet-Lite2 with ImageNet weights at 128 px (4×4, width 1,280):

* a logistic regression on every number of the grid as it comes back, C by validation;
* a MobileNetV3-small ×0.5 that copies the last map by its cosine, without labels, and then learns the labels.

Printed: test accuracy by seed (of split, student and order), mean ± sample standard deviation, and the difference to
the whole grid seed by seed with the half-width of its 95 % t interval.

    OMP_NUM_THREADS=1 python benchmarks/grids.py [--seeds 3]
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy.stats import t as student_t

from preceptor.data.images import FileReader
from preceptor.data.prepare import prepare
from preceptor.data.sources import open_source
from preceptor.data.subsets import drawn
from preceptor.deploy.embed import embed_images
from preceptor.deploy.wanted import Wanted
from preceptor.embeddings.keys import number_of
from preceptor.embeddings.store import Embeddings
from preceptor.recipe import Recipe, parse_recipe
from preceptor.screen import Screen
from preceptor.teacher_cache.compress import Compression
from preceptor.teacher_cache.facts import UNCHANGED, image_keys
from preceptor.training.logistic import logistic_heads
from preceptor.training.run import train_recipe

WAYS: dict[str, dict[str, Any]] = {
    "whole": {"what": "grid"},
    "pooled 2×2": {"what": "pooled", "side": 2},
    "PCA 256": {"what": "pca", "dims": 256},
    "PCA 64": {"what": "pca", "dims": 64},
    "PCA 16": {"what": "pca", "dims": 16},
}
STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 0.1)
CRC = {
    "path": "${PRECEPTOR_DATA}/CRCHistoPhenotypes",
    "options": {
        "csv": "data_labels_mainData.csv",
        "image": "ImageName",
        "image_folder": "patch_images",
        "label": "cellTypeName",
        "group": "patientID",
    },
    "subset": {"count": 320, "balanced": True},
    "image_size": 128,
}
LITE2 = {"architecture": "tf_efficientnet_lite2", "weights": "${PRECEPTOR_WEIGHTS}/tf_efficientnet_lite2.safetensors"}


def made_up(root: Path) -> dict[str, Any]:
    """Noise with labels."""
    draw = np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(draw.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(root / f"{number}.png")
    pd.DataFrame({"image": [f"{n}.png" for n in range(40)], "label": list("ab" * 20)}).to_csv(root / "t.csv")
    options = {"image": "image", "label": "label"}
    return {"path": str(root / "t.csv"), "options": options, "image_size": 64, "subset": {"count": 40}}


def recipe_of(data: dict[str, Any], teacher: dict[str, Any], seed: int, root: Path, epochs: int) -> Recipe:
    losses = [{"loss": "cosine", "student_tap": "last", "teacher_tap": "last"}]
    return parse_recipe(
        {
            "task": "classification",
            "data": {**data, "source": "table", "cache": str(root / "cache")},
            "split": {"fractions": [0.5, 0.2, 0.3]},
            "augment": {"flip_horizontal": False, "flip_vertical": False},
            "networks": {
                "teacher": teacher,
                "student": {"architecture": "mobilenetv3_small_050", "weights": "none"},
                "count": 1,
            },
            "technique": {"name": "distil_features", "losses": losses, "epochs": 2 * epochs},
            "training": {"epochs": epochs, "batch_size": 16, "lr": 2e-3, "teacher_cache": {"dtype": "float16"}},
            "seed": seed,
        }
    )


def files_of(recipe: Recipe, root: Path) -> Path:
    """The recipe's images, as a table of files."""
    data = recipe.data
    assert data.subset is not None, "some images"
    reader = drawn(open_source(data.source, data.path, data.options, data), data.subset).read
    assert isinstance(reader, FileReader), "images are files"
    (root / "images.csv").write_text("\n".join(["file", *reader.images]))
    return root / "images.csv"


def probed(recipe: Recipe, stored: Embeddings) -> float:
    """Test accuracy of a logistic regression on the grids as they come back."""
    prepared = prepare(recipe)
    order = np.argsort(stored.keys)
    rows = order[number_of(image_keys(prepared.packed, UNCHANGED), stored.keys[order])]
    compression = Compression.of(stored)

    def grids(part: str) -> tuple[Any, Any]:
        found = torch.from_numpy(np.ascontiguousarray(stored[rows[prepared.rows[part]]])).float()
        whole = found if compression is None else compression.restored(found)
        labels = prepared.labels(prepared.rows[part])
        return whole.flatten(1).double().numpy(), labels

    heads = logistic_heads(*grids("train"), len(prepared.packed.classes), STRENGTHS)
    (validation, truth), (test, wanted) = grids("validation"), grids("test")
    best = max(heads, key=lambda head: float((head.probabilities(validation).argmax(1) == truth).mean()))
    return float((best.probabilities(test).argmax(1) == wanted).mean())


def distilled(recipe: Recipe, stored: Path, out: Path) -> float:
    """Test accuracy of a student of the stored grids."""
    found = train_recipe(
        recipe.with_({"training.teacher_cache.stored": [str(stored)]}), out, device="cpu", console=Screen(quiet=True)
    )
    return float(found.test["S1"]["accuracy"])


def told(values: list[float], whole: list[float]) -> str:
    """Accuracies, and what they lose against those on the whole grid."""
    each = ", ".join(f"{100 * value:.1f}" for value in values)
    spread = f"{100 * statistics.mean(values):.1f} ± {100 * statistics.stdev(values):.1f}"
    gaps = [100 * (a - b) for a, b in zip(values, whole, strict=True)]
    half = student_t.ppf(0.975, len(gaps) - 1) * statistics.stdev(gaps) / len(gaps) ** 0.5
    return f"{spread} ({each}); less whole {statistics.mean(gaps):+.1f} ± {half:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="the smallest of everything: only to see that it runs")
    given = parser.parse_args()
    scores: dict[str, dict[str, list[float]]] = {"probe": {}, "student": {}}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = made_up(root) if given.tiny else CRC
        teacher = {"architecture": "resnet10t", "weights": "none"} if given.tiny else LITE2
        for seed in range(given.seeds):
            recipe = recipe_of(data, teacher, seed, root, epochs=1 if given.tiny else 4)
            (root / "recipe.yaml").write_text(recipe.to_yaml())
            files = files_of(recipe, root)
            for name, way in WAYS.items():
                if given.tiny and way.get("dims", 0) > 16:
                    continue
                out = root / f"{seed} {name}"
                stored = embed_images(Wanted(str(root / "recipe.yaml"), device="cpu", **way), [files], out)
                scores["probe"].setdefault(name, []).append(probed(recipe, stored))
                scores["student"].setdefault(name, []).append(distilled(recipe, out, root / f"run {seed} {name}"))
                last = ", ".join(f"{what} {found[name][-1]:.4f}" for what, found in scores.items())
                print(f"seed {seed}, {name}: {stored.form.record_bytes:,} bytes, {last}", flush=True)
    for what, found in scores.items():
        for name, values in found.items():
            print(f"{what}, {name}: {told(values, found['whole'])}")


if __name__ == "__main__":
    main()
