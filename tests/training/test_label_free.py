"""Runs that read no label: what they leave, what no label may change, what resumes."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import load_file

from preceptor.errors import InterruptedRunError, UserError
from preceptor.recipe import parse_recipe
from preceptor.training import run

from .phantoms import NEW, last, stopping_fit, train

TEACHER = {"architecture": "vit_tiny_patch16_224", "input_size": 32, **NEW}
SMALL_VIT = {"embed_dim": 24, "depth": 1, "num_heads": 2, "reg_tokens": 2}
LOSSES = [{"loss": "cosine"}, {"loss": "feature_smooth_l1"}, {"loss": "queue_kl", "options": {"size": 16}}]


def recipe_of(folder, cache, *, data=None, split=None, **technique):
    networks = {
        "teacher": {**TEACHER, "options": SMALL_VIT},
        "student": {"architecture": "test_resnet", **NEW},
        "count": 1,
    }
    return parse_recipe(
        {
            "task": "classification",
            "data": {
                "source": "table",
                "path": str(folder / "table.csv"),
                "options": {"image": "image", "label": "label", "group": "patient"},
                "image_size": 32,
                "cache": str(cache),
                **(data or {}),
            },
            "split": {"fractions": [0.5, 0.25, 0.25], "labels": "none", **(split or {})},
            "networks": networks,
            "technique": {"name": "distil_features", "losses": LOSSES, "epochs": 2, "batch_size": 6, **technique},
            "training": {"epochs": 1, "batch_size": 4, "lr": 1e-3, "threads": 1},
        }
    )


@pytest.fixture
def images(tmp_path):
    """A folder of small images of eight patients, and a table of them with a column of labels."""
    folder = tmp_path / "data"
    folder.mkdir()
    draw = np.random.default_rng(0)
    rows = []
    for number in range(32):
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")
        rows.append({"image": f"{number:02}.png", "label": "ab"[number % 2], "patient": f"p{number // 4}"})
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
    return folder


def left(folder):
    """Hashes of all that a run left, but for its recipe, times and machine."""
    kept = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name in ("environment.json", "recipe.yaml", ".lock"):
            continue
        content = path.read_bytes()
        if name == "result.json":
            values = json.loads(content)
            content = json.dumps({k: v for k, v in values.items() if "second" not in k and k != "files"}).encode()
        if path.suffix == ".ckpt" or name.startswith("checkpoints"):
            continue  # holds seconds; its tensors are compared by themselves
        kept[name] = hashlib.sha256(content).hexdigest()
    return kept


def test_labels_that_are_permuted_or_gone_change_no_bit_and_neither_does_a_stop(images, tmp_path, monkeypatch):
    recipe = recipe_of(images, tmp_path / "cache")
    result, said = train(recipe, tmp_path / "straight")
    table = pd.read_csv(images / "table.csv")

    table.assign(label=np.random.default_rng(3).permutation(table["label"])).to_csv(images / "table.csv", index=False)
    with monkeypatch.context() as patch:
        patch.setattr(run, "train_stage", stopping_fit("features", 1, 1))
        with pytest.raises(InterruptedRunError):
            train(recipe, tmp_path / "permuted")
    train(recipe, tmp_path / "permuted")
    table.drop(columns="label").to_csv(images / "table.csv", index=False)
    _, said_without = train(recipe, tmp_path / "gone")

    straight, stage = left(tmp_path / "straight"), last(tmp_path / "straight", "features")
    assert {"result.json", "metrics.csv", "split.csv", "networks/S1/model.safetensors"} <= set(straight)
    for other in ("permuted", "gone"):
        assert left(tmp_path / other) == straight
        assert all(stage[name].equal(value) for name, value in last(tmp_path / other, "features").items())
    notes = [[line for line in text.split("\n") if line.startswith("note:")] for text in (said, said_without)]
    assert notes[0] == notes[1]

    assert (result.labels, result.has_no_labels) == ({"train": 0, "validation": 0, "test": 0}, True)
    assert set(result.test["S1"]) == set(result.validation["S1"]) == {"knowledge_loss", "teacher_cosine"}
    assert not result.fidelity
    assert any("nothing is known of how well" in note for note in result.notes)
    metrics = pd.read_csv(tmp_path / "straight" / "metrics.csv")
    held = metrics[(metrics["split"] == "validation") & (metrics["metric"] == "knowledge_loss")]["value"]
    assert len(held) == 2
    assert result.validation["S1"]["knowledge_loss"] == pytest.approx(held.min(), rel=1e-5)


def test_a_folder_of_images_is_enough(images, tmp_path):
    source = {"source": "images", "path": str(images), "options": {"group": "^(..)"}}
    recipe = recipe_of(images, tmp_path / "cache", data=source, split={"labels": None}, losses=[{"loss": "rkd"}])
    assert [stage.name for stage in recipe.plan().stages] == ["features"]
    result, _ = train(recipe, tmp_path / "run")
    assert set(result.test["S1"]) == {"knowledge_loss"}


def test_a_recipe_with_labels_begins_with_what_was_learned_without(images, tmp_path):
    train(recipe_of(images, tmp_path / "cache"), tmp_path / "free")
    begun = {"networks.student.weights": str(tmp_path / "free" / "networks" / "S1"), "technique": {"name": "baseline"}}
    labelled = recipe_of(images, tmp_path / "cache", split={"labels": None, "stratify": False}).with_(begun)
    result, _ = train(labelled, tmp_path / "labelled")
    assert "accuracy" in result.test["S1"]
    kept = load_file(tmp_path / "free" / "networks" / "S1" / "model.safetensors")
    learned = load_file(tmp_path / "labelled" / "networks" / "S1" / "model.safetensors")
    assert (kept["conv1.0.weight"] - learned["conv1.0.weight"]).abs().max() < 0.02, "of a few small steps"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"technique.name": "baseline"}, "technique baseline learns from labels, and none is read"),
        ({"technique.name": "kd_offline"}, "technique kd_offline learns from labels, and none is read"),
        ({"training.monitor": "f1"}, "training.monitor: no label is read"),
        ({"training.balance": "over"}, "training.balance: no label is read"),
        ({"split.shots": 2}, "labels keeps every image and hides labels"),
        ({"split.labels": {"fraction": 0.5, "per_class": 2}}, "`per_class` or `count`, one of them"),
    ],
)
def test_what_has_no_meaning_without_labels_is_refused(images, tmp_path, changes, said):
    with pytest.raises(UserError, match=said):
        recipe_of(images, tmp_path).with_(changes)


def test_nothing_can_be_kept_up_without_labels_and_no_loss_may_read_them(images, tmp_path):
    with pytest.raises(UserError, match="no label is read, so there is no stage"):
        recipe_of(images, tmp_path, keep_teaching=0.5).plan()
    with pytest.raises(UserError, match="crd reads the label of every image, and distil_features reads none"):
        recipe_of(images, tmp_path, losses=[{"loss": "crd"}]).plan()


def test_images_without_labels_are_refused_where_labels_are_learned(images, tmp_path):
    options = {"image": "image", "label": [], "group": "patient"}
    recipe = recipe_of(images, tmp_path / "cache", data={"options": options}, split={"labels": None})
    with pytest.raises(UserError, match="these images have no labels, and the recipe learns some"):
        train(recipe, tmp_path / "run")


@pytest.mark.slow
def test_several_teachers_have_a_projector_each_and_resume(images, tmp_path, monkeypatch):
    """Two foundation models of unlike widths: each standardised by its own numbers, dropped from what is exported."""
    wide = {"architecture": "virchow2", "input_size": 28, "options": {**SMALL_VIT, "reg_tokens": 4}, **NEW}
    narrow = {"architecture": "uni", "input_size": 32, "options": {"embed_dim": 16, "depth": 1, "num_heads": 2}, **NEW}
    losses = [{"loss": "cosine"}, {"loss": "feature_smooth_l1"}]
    recipe = recipe_of(images, tmp_path / "cache", losses=losses)
    recipe = recipe.with_({"networks.teacher": None, "networks.teachers": [wide, narrow]})
    result, _ = train(recipe, tmp_path / "straight")
    with monkeypatch.context() as patch:
        patch.setattr(run, "train_stage", stopping_fit("features", 1, 1))
        with pytest.raises(InterruptedRunError):
            train(recipe, tmp_path / "stopped")
    train(recipe, tmp_path / "stopped")
    assert left(tmp_path / "straight") == left(tmp_path / "stopped")
    kept = last(tmp_path / "straight", "features")
    widths = {name.split("losses.")[1].split(".")[0]: len(one) for name, one in kept.items() if name.endswith(".mean")}
    assert {name[:2]: width for name, width in widths.items() if "smooth" in name} == {"T1": 48, "T2": 16}
    assert set(result.test["S1"]) == {"knowledge_loss", "teacher_cosine"}
    assert all(one.equal(last(tmp_path / "stopped", "features")[name]) for name, one in kept.items())
