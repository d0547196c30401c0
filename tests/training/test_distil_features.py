"""Learning without labels: what no label may change, what resumes, what the labelled stage begins with."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image
from safetensors.torch import load_file

from preceptor.data.prepare import prepare
from preceptor.errors import InterruptedRunError, UserError
from preceptor.plan.stage import WarmStart
from preceptor.recipe import parse_recipe
from preceptor.training import run

from .phantoms import NEW, last, recipe_for, stopping_fit, train

TEACHER = {"architecture": "vit_tiny_patch16_224", "input_size": 32, **NEW}
SMALL_VIT = {"embed_dim": 24, "depth": 1, "num_heads": 2, "reg_tokens": 2}
LOSSES = [{"loss": "cosine"}, {"loss": "feature_smooth_l1"}, {"loss": "queue_kl", "options": {"size": 16}}]


@pytest.fixture
def table(tmp_path):
    """Writes a table of small images by group, with labels that a seed draws; returns the folder."""

    def write(labels_seed, name="data"):
        folder = tmp_path / name
        folder.mkdir()
        draw = np.random.default_rng(0)
        labels = np.random.default_rng(labels_seed).permutation(np.arange(32) % 2)
        rows = []
        for number in range(32):
            Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")
            rows.append({"image": f"{number:02}.png", "label": "ab"[labels[number]], "patient": f"p{number // 4}"})
        pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
        return folder

    return write


def recipe_of(folder, cache, **technique):
    networks = {
        "teacher": {**TEACHER, "options": SMALL_VIT},
        "student": {"architecture": "mobilenetv3_small_050", **NEW},
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
            },
            "split": {"fractions": [0.5, 0.25, 0.25], "shots": technique.pop("shots", None)},
            "networks": networks,
            "technique": {"name": "distil_features", "losses": LOSSES, "epochs": 2, "batch_size": 6, **technique},
            "training": {"epochs": 1, "batch_size": 4, "lr": 1e-3, "threads": 1},
        }
    )


def bits(state):
    """One hash of all tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def test_permuted_labels_change_no_bit_and_neither_does_a_stop(table, tmp_path, monkeypatch):
    """One run goes straight through; the other has other labels, is stopped without them, and goes on."""
    straight, other = (recipe_of(table(seed, f"data{seed}"), tmp_path / "cache") for seed in (1, 2))
    train(straight, tmp_path / "straight")
    with monkeypatch.context() as patch:
        patch.setattr(run, "train_stage", stopping_fit("features", 1, 1))
        with pytest.raises(InterruptedRunError):
            train(other, tmp_path / "other")
    train(other, tmp_path / "other")

    assert bits(last(tmp_path / "straight", "features")) == bits(last(tmp_path / "other", "features"))
    assert bits(last(tmp_path / "straight")) != bits(last(tmp_path / "other"))
    splits = [pd.read_csv(tmp_path / name / "split.csv") for name in ("straight", "other")]
    assert splits[0][["id", "split"]].equals(splits[1][["id", "split"]])
    assert not splits[0]["label"].equals(splits[1]["label"])


def test_the_stage_without_labels_sees_the_whole_training_part_and_the_other_the_few_shots(table, tmp_path):
    recipe = recipe_of(table(1), tmp_path / "cache", shots=2)
    prepared = prepare(recipe)
    assert len(prepared.rows["train"]) == 4
    assert len(prepared.every("train")) == 16
    assert set(prepared.rows["train"]) < set(prepared.every("train"))
    assert "Split by group alone, without a look at the labels." in prepared.notes
    used = "Labels used: 4 of the training part to learn from, 8 of the validation part to choose weights by."
    assert used in prepared.notes


def test_a_baseline_can_have_the_same_split(table, tmp_path):
    recipe = recipe_of(table(1), tmp_path / "cache")
    alone = recipe.with_({"technique.name": "baseline", "split.stratify": False})
    assert "stratify" not in recipe.to_yaml()
    assert "stratify: false" in alone.to_yaml()
    assert prepare(alone).split_csv() == prepare(recipe).split_csv()


def test_the_plan():
    recipe = parse_recipe(
        {
            "task": "classification",
            "data": {"source": "phantom"},
            "networks": {"teachers": [TEACHER, TEACHER], "student": {"architecture": "resnet10t"}, "count": 1},
            "technique": {"name": "distil_features", "losses": [{"loss": "cosine"}, {"loss": "token_kl"}], "epochs": 3},
            "training": {"epochs": 2, "patience": 1, "balance": "over"},
        }
    )
    first, main = recipe.plan().stages
    assert [edge.name for edge in first.edges] == [
        "T1->S1/cosine",
        "T1->S1/token_kl",
        "T2->S1/cosine",
        "T2->S1/token_kl",
    ]
    assert first.unlabelled
    assert first.training.batch_size == main.training.batch_size == 8
    assert (first.training.epochs, first.training.patience, first.training.balance) == (3, 1, None)
    assert first.members["S1"].task_weight == 0
    assert main.members["S1"].start == WarmStart("features", "S1")
    assert not main.edges
    assert tuple(main.members) == ("S1",)
    going_on = recipe.with_({"technique.keep_teaching": 0.5}).plan().stages[1]
    assert {edge.weight for edge in going_on.edges} == {0.5}
    assert not going_on.unlabelled


def test_what_is_said_of_a_teacher_without_a_head(tmp_path):
    weights = {"networks.teacher.weights": str(tmp_path / "mine.pth")}
    notes = recipe_of(tmp_path, tmp_path).with_(weights).plan().notes
    assert f"T is '{tmp_path}/mine.pth' as it is, frozen; its features are copied, its head is not used." in notes


def test_losses_on_logits_are_refused():
    recipe = recipe_of(Path(), Path(), losses=[{"loss": "kd"}])
    with pytest.raises(UserError, match="kd compares logits, and distil_features copies features"):
        recipe.plan()


def test_statistics_are_of_the_whole_training_part_and_kept(table, tmp_path):
    recipe = recipe_of(table(1), tmp_path / "cache", losses=[{"loss": "feature_smooth_l1"}], shots=2)
    train(recipe, tmp_path / "run")
    kept = last(tmp_path / "run", "features")
    (mean,) = (tensor for name, tensor in kept.items() if name.endswith(".mean") and "smooth" in name)
    prepared = prepare(recipe)
    images = torch.from_numpy(prepared.packed.images[prepared.every("train")]).permute(0, 3, 1, 2) / 255
    trained = run.run_of(recipe, prepared, Fabric(accelerator="cpu"), tmp_path / "other")
    teacher = trained.builder.cohort(trained.plan.stages[0]).networks["T"]
    with torch.no_grad():
        torch.testing.assert_close(mean, teacher(images).embedding.mean(0), rtol=1e-4, atol=1e-5)


def test_a_unets_encoder_copies_the_map_of_a_foundation_model(packed, tmp_path):
    """Whose tokens, without class token and registers, are a grid; the encoder's deepest map is brought to it."""
    teacher = {"architecture": "virchow2", "input_size": 28, "options": SMALL_VIT | {"reg_tokens": 4}, **NEW}
    technique = {"name": "distil_features", "losses": [{"loss": "cosine"}, {"loss": "token_kl"}], "epochs": 1}
    recipe = recipe_for(
        "segmentation", technique, packed, networks={"teacher": teacher}, training={"epochs": 1, "batch_size": 4}
    )
    result, _ = train(recipe, tmp_path / "run")
    assert result.test["S1"]
    assert not any("projector" in name for name in load_file(tmp_path / "run/networks/S1/model.safetensors"))
    metrics = pd.read_csv(tmp_path / "run" / "metrics.csv")
    assert {"loss:T->S1/cosine", "loss:T->S1/token_kl"} <= set(metrics["metric"])


def test_masks_are_read_in_the_second_stage_alone_and_there_those_that_are_known(tmp_path):
    """Of masks with pixels to ignore: what is drawn changes nothing of the first stage."""
    draw = np.random.default_rng(0)
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for number in range(8):
        Image.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(tmp_path / f"images/{number}.png")
    options = {"mask_values": [0, 1], "mask_ignore": [7]}
    recipe = recipe_for(
        "segmentation",
        {"name": "distil_features", "losses": [{"loss": "cosine"}], "epochs": 1},
        tmp_path / "cache",
        split={"labels": {"count": 2}, "fractions": [0.5, 0.25, 0.25]},
    ).with_({"data.source": "folder", "data.path": str(tmp_path), "data.options": options})
    seen = []
    for _ in range(2):
        for number in range(8):
            mask = draw.choice(np.array([0, 1, 7], dtype=np.uint8), (32, 32))
            Image.fromarray(mask).save(tmp_path / f"masks/{number}.png")
        prepared = prepare(recipe)
        trained = run.run_of(recipe, prepared, Fabric(accelerator="cpu"), tmp_path / "run")
        first, main = trained.plan.stages
        cohort = trained.builder.cohort(first, starts=False)
        batch = next(iter(trained.builder.batches(first, cohort).epoch(0)))
        assert (batch.targets == -1).all()
        cohort.eval()
        terms = cohort(batch, 1, None)
        held = trained._held_knowledge(first, cohort)(dict(cohort.learners.items()), "validation")
        seen.append((list(terms), terms["T->S1/cosine"].item(), held["S1"]))
        assert len(trained.builder._rows(main)) == prepared.labels_used["train"] == 2
    assert seen[0] == seen[1]
