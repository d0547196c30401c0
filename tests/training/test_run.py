"""Whole runs on a few phantom images: from recipe to result, resumed, and in two processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from io import StringIO

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file

from preceptor.errors import UserError
from preceptor.files import file_lock
from preceptor.opened_run import open_run
from preceptor.recipe import load_recipe, parse_recipe
from preceptor.runs.begun import read_begun, write_begun
from preceptor.training.run import train_recipe

TINY = {"architecture": "mobilenetv3_small_050", "weights": "none"}
UNET = {
    "architecture": "unet",
    "encoder": "mobilenetv3_small_050",
    "weights": "none",
    "options": {"decoder_channels": [16, 8, 8, 8, 8]},
}


def recipe_for(task="classification", **changes):
    network = TINY if task == "classification" else UNET
    images = 48 if task == "classification" else 12
    raw = {
        "task": task,
        "data": {"source": "phantom", "options": {"task": task, "images": images, "size": 32, "patients": 6}},
        "networks": {"teacher": network, "student": network},
        "technique": {"name": "baseline"},
        "training": {"epochs": 1, "batch_size": 8, "lr": 1e-3, "threads": 1},
    }
    raw["data"]["image_size"] = 32
    for name, change in changes.items():
        raw[name] = {**raw.get(name, {}), **change} if isinstance(change, dict) else change
    return parse_recipe(raw)


@pytest.mark.parametrize(
    ("task", "strategy"),
    [
        *(("classification", strategy) for strategy in ("predictions", "features", "diverse")),
        *(pytest.param("segmentation", strategy, marks=pytest.mark.slow) for strategy in ("predictions", "features")),
        ("segmentation", "diverse"),
    ],
)
@pytest.mark.parametrize("name", ["kd_offline", "kd_online", "ml", "kd_ml"])
def test_all_twelve_cells_run(tmp_path, task, name, strategy):
    result = train_recipe(recipe_for(task, technique={"name": name, "strategy": strategy}), tmp_path)

    networks = {"S1", "S2"} | ({"T"} if name != "ml" else set())
    assert set(result.test) == networks | {"ensemble", "ensemble_mean"}
    assert set(result.fidelity) == (set() if name == "ml" else {"S1", "S2", "ensemble", "ensemble_mean"})
    assert result.chosen in {"S1", "S2"}
    metrics = (
        {"accuracy", "precision", "recall", "f1", "auroc", "ece"}
        if task == "classification"
        else {"iou", "f1", "iou_per_image", "f1_per_image", "hd95", "surface_dice"}
    )
    assert all(set(scores) == metrics for scores in result.test.values())
    for file in ("recipe.yaml", "split.csv", "metrics.csv", "result.json", "environment.json", "predictions/test.csv"):
        assert (tmp_path / file).exists(), file
    for network in networks:
        assert (tmp_path / "networks" / network / "model.safetensors").exists()


def test_predictions_give_the_scores_again(tmp_path):
    result = train_recipe(recipe_for(), tmp_path)
    table = pd.read_csv(tmp_path / "predictions" / "test.csv")
    probabilities = table.filter(regex="^p_").to_numpy()
    right = probabilities.argmax(axis=1) == table["label"]
    for network, scores in result.test.items():
        assert right[table["network"] == network].mean() == pytest.approx(scores["accuracy"])


def test_no_sample_and_no_group_is_on_two_sides(tmp_path):
    train_recipe(recipe_for(), tmp_path)
    split = pd.read_csv(tmp_path / "split.csv")
    assert split["id"].is_unique
    assert split.groupby("group")["split"].nunique().max() == 1


def test_evaluating_the_exported_networks_gives_the_result_again(tmp_path):
    recipe = recipe_for(technique={"name": "kd_ml", "strategy": "diverse"})
    result = train_recipe(recipe, tmp_path)
    assert open_run(tmp_path).evaluate().scores == result.test


def test_mixtures_without_shares_are_the_simpler_method(tmp_path):
    """KD+ML with gamma 0 is KD online; with beta and gamma 0 and alpha 1 its students are the baseline: same bits."""
    cases = {
        "kd_online": {"name": "kd_online", "alpha": 0.2},
        "kd_ml_no_peers": {"name": "kd_ml", "alpha": 0.2, "beta": 0.8, "gamma": 0.0},
        "baseline": {"name": "baseline"},
        "kd_ml_alone": {"name": "kd_ml", "alpha": 1.0, "beta": 0.0, "gamma": 0.0},
    }
    weights = {}
    for name, technique in cases.items():
        train_recipe(recipe_for(technique=technique), tmp_path / name)
        weights[name] = load_file(tmp_path / name / "networks" / "S1" / "model.safetensors")

    def equal(one, other):
        return all(torch.equal(weights[one][key], weights[other][key]) for key in weights[one])

    assert equal("kd_online", "kd_ml_no_peers")
    assert equal("baseline", "kd_ml_alone")
    assert not equal("baseline", "kd_online")


def test_a_teacher_trained_once_serves_later_runs(tmp_path):
    """A run folder as teacher gives the bits of a run that trained the teacher itself."""
    train_recipe(recipe_for(technique={"name": "baseline", "network": "teacher"}), tmp_path / "teacher")
    own = train_recipe(recipe_for(technique={"name": "kd_offline"}), tmp_path / "own")
    given = train_recipe(
        recipe_for(technique={"name": "kd_offline", "teacher": str(tmp_path / "teacher")}), tmp_path / "given"
    )
    assert own.test == given.test


def test_a_teacher_that_has_seen_the_test_images_is_refused(tmp_path):
    train_recipe(
        recipe_for(technique={"name": "baseline", "network": "teacher"}, split={"seed": 1}), tmp_path / "teacher"
    )
    with pytest.raises(UserError, match=r"was trained on .* images that are validation or test here"):
        train_recipe(
            recipe_for(technique={"name": "kd_offline", "teacher": str(tmp_path / "teacher")}), tmp_path / "run"
        )


@pytest.mark.parametrize(
    ("technique", "how"),
    [
        ("baseline", "weights"),
        ("kd_offline", "architecture"),
        pytest.param("baseline", "architecture", marks=pytest.mark.slow),
        pytest.param("kd_offline", "weights", marks=pytest.mark.slow),
    ],
)
def test_weights_that_have_seen_the_test_images_start_nothing(tmp_path, technique, how):
    """A network that takes no part may have seen what it will."""
    which = "student" if technique == "baseline" else "teacher"
    train_recipe(recipe_for(split={"seed": 1}), tmp_path / "first")
    folder = str(tmp_path / "first" / "networks" / "S1")
    network = {**TINY, "weights": folder} if how == "weights" else {"architecture": f"local-dir:{folder}"}
    with pytest.raises(
        UserError, match=rf"weights of {which[0].upper()}.*: .* images that are validation or test here"
    ):
        train_recipe(recipe_for(networks={which: network}, technique={"name": technique}), tmp_path / "second")
    train_recipe(recipe_for(networks={which: network}, split={"seed": 1}), tmp_path / "third")
    train_recipe(recipe_for(networks={"teacher": network}), tmp_path / "fourth")


def test_a_run_does_not_go_on_with_other_data(tmp_path):
    recipe = recipe_for()
    train_recipe(recipe, tmp_path)
    write_begun(tmp_path, replace(read_begun(tmp_path), data="other pixels"))
    with pytest.raises(UserError, match="the data has changed since this run began"):
        open_run(tmp_path).evaluate()
    (tmp_path / "result.json").unlink()
    with pytest.raises(UserError, match="the data has changed since this run began"):
        train_recipe(recipe, tmp_path)


def test_a_damaged_split_is_written_anew_where_the_data_are_the_same(tmp_path):
    recipe = recipe_for()
    train_recipe(recipe, tmp_path)
    split = tmp_path / "split.csv"
    whole = split.read_bytes()
    split.write_bytes(b"\xff\xfebad")
    with pytest.raises(UserError, match=r"split\.csv: was changed or damaged(.|\n)*Delete .*result\.json"):
        open_run(tmp_path).evaluate()
    before = (tmp_path / "result.json").read_text()
    (tmp_path / "result.json").unlink()
    told = StringIO()
    train_recipe(recipe, tmp_path, device="cpu", console=Console(file=told, width=1000))
    assert "split.csv was changed or damaged" in told.getvalue()
    assert split.read_bytes() == whole
    assert json.loads((tmp_path / "result.json").read_text())["sha256"] == json.loads(before)["sha256"]


def test_a_teacher_that_cannot_be_found_is_named(tmp_path):
    with pytest.raises(UserError, match=r"technique.teacher: '.*absent' does not exist"):
        train_recipe(
            recipe_for(technique={"name": "kd_offline", "teacher": str(tmp_path / "absent")}), tmp_path / "run"
        )


def test_worker_count_changes_nothing(tmp_path):
    for workers in (0, 2):
        train_recipe(recipe_for(training={"workers": workers}), tmp_path / str(workers))
    paths = [tmp_path / str(workers) / "networks" / "S1" / "model.safetensors" for workers in (0, 2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_teacher_is_audited_against_the_baseline_beside_it(tmp_path):
    alone = train_recipe(recipe_for(), tmp_path / "alone")
    result = train_recipe(recipe_for(technique={"name": "kd_online"}), tmp_path / "distilled")
    audit = result.teacher_audit
    student = max(alone.validation[name]["accuracy"] for name in ("S1", "S2"))
    assert audit.student_alone == student
    assert audit.run == "../alone"
    assert str(tmp_path) not in (tmp_path / "distilled" / "result.json").read_text()
    assert ("NOT better" in audit.verdict) == (audit.teacher <= student)
    elsewhere = train_recipe(recipe_for(technique={"name": "kd_online"}, seed=1), tmp_path / "other-seed")
    assert "not audited" in elsewhere.teacher_audit.verdict


def test_tiles_are_put_together_for_evaluation(tmp_path):
    options = {**recipe_for("segmentation").data.options, "size": 48}
    train_recipe(recipe_for("segmentation", data={"tile": {"size": 32, "overlap": 8}, "options": options}), tmp_path)
    counts = pd.read_csv(tmp_path / "predictions" / "test.csv")
    assert set(counts[["tp", "fp", "fn", "tn"]].sum(axis=1)) == {48 * 48}


def test_masks_are_written_on_request(tmp_path):
    """The pixels of a written mask are the true and false positives that were counted."""
    recipe = recipe_for("segmentation")
    train_recipe(recipe, tmp_path / "run")
    open_run(tmp_path / "run").evaluate(masks=tmp_path / "masks")
    counts = pd.read_csv(tmp_path / "run" / "predictions" / "test.csv")
    for row in counts.itertuples():
        mask = np.asarray(Image.open(tmp_path / "masks" / row.network / f"{row.id}.png"))
        assert (mask == 255).sum() == row.tp + row.fp


def command(recipe, out, *launcher):
    return [sys.executable, *launcher, "-m", "preceptor", "train", str(recipe), "--out", str(out)]


@pytest.fixture
def written(tmp_path):
    def write(recipe):
        path = tmp_path / "recipe.yaml"
        path.write_text(recipe.to_yaml())
        return path

    return write


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bits(tmp_path, written):
    """kill -9 across two stages, as often as it takes."""
    recipe = written(recipe_for(technique={"name": "kd_offline"}, training={"epochs": 6}))
    subprocess.run(command(recipe, tmp_path / "whole"), check=True, capture_output=True)
    for seconds in (6, 7, 8):
        process = subprocess.Popen(command(recipe, tmp_path / "killed"), stdout=subprocess.DEVNULL)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command(recipe, tmp_path / "killed"), check=True, capture_output=True)
    for file in ("networks/S1/model.safetensors", "networks/T/model.safetensors", "metrics.csv"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "killed" / file).read_bytes()


@pytest.mark.slow
def test_sigterm_writes_a_checkpoint_and_says_how_to_go_on(tmp_path, written):
    recipe = written(recipe_for(training={"epochs": 500}))
    process = subprocess.Popen(
        command(recipe, tmp_path / "run"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "run" / "metrics.csv").exists():
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "The same command again goes on from there" in errors
    assert (tmp_path / "run" / "checkpoints" / "main" / "last.ckpt").exists()


def by_two(recipe, out):
    """Train by two processes; what was printed."""
    launcher = ("-m", "torch.distributed.run", "--nproc_per_node=2", "--master_addr=127.0.0.1", "--master_port=29631")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command(recipe, out, *launcher), check=True, capture_output=True, text=True, env=environment, timeout=300
    )
    return done.stdout


@pytest.mark.slow
def test_two_processes_keep_what_a_teacher_says_each_of_its_share(tmp_path, written):
    """The student ends with the same bits whether the teacher is computed, kept on the way, or read from the start."""
    cache = tmp_path / "cache"
    changes = {"technique": {"name": "kd_offline"}, "augment": {"views": 1}, "training": {"epochs": 2}}
    weights, texts = [], []
    for run in ("computed", "kept", "read"):
        changes["training"]["teacher_cache"] = {"enabled": run != "computed"}
        recipe = recipe_for(**changes)
        data = recipe.data.model_copy(update={"cache": str(cache)})
        texts.append(by_two(written(recipe.model_copy(update={"data": data})), tmp_path / run))
        weights.append((tmp_path / run / "networks" / "S1" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1] == weights[2]
    assert "teacher cache" not in texts[0]
    computed = [int(re.search(r"was read \d+ times and computed (\d+) times", text).group(1)) for text in texts[1:]]
    assert computed[1] < computed[0]


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path, written):
    """Without BatchNorm, two gloo processes with the same global batch end with the same weights to rounding."""
    network = {"architecture": "convnext_atto", "weights": "none"}
    changes = {
        "networks": {"teacher": network, "student": network, "count": 2},
        "technique": {"name": "kd_ml", "strategy": "diverse"},
        "training": {"optimizer": "sgd", "lr": 0.01, "epochs": 2},
    }
    recipe = written(recipe_for(**changes))
    subprocess.run(command(recipe, tmp_path / "one"), check=True, capture_output=True)
    by_two(recipe, tmp_path / "two")
    for name in ("T", "S1", "S2"):
        one, two = (load_file(tmp_path / run / "networks" / name / "model.safetensors") for run in ("one", "two"))
        for key, value in one.items():
            torch.testing.assert_close(two[key], value, rtol=1e-3, atol=1e-5)
    scores = [json.loads((tmp_path / run / "result.json").read_text())["test"]["S1"] for run in ("one", "two")]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_a_run_folder_has_one_writer(tmp_path):
    with file_lock(tmp_path / ".lock"), pytest.raises(UserError, match="another process is training"):
        train_recipe(recipe_for(), tmp_path)
    assert train_recipe(recipe_for(), tmp_path).status == "complete"


def test_tensorboard_events_are_written_on_request(tmp_path):
    train_recipe(recipe_for(training={"tensorboard": True}), tmp_path)
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_the_recipe_in_a_run_folder_repeats_the_run(tmp_path):
    train_recipe(recipe_for(), tmp_path / "first")
    again, _ = load_recipe(tmp_path / "first" / "recipe.yaml")
    train_recipe(again, tmp_path / "second")
    files = [tmp_path / run / "networks" / "S1" / "model.safetensors" for run in ("first", "second")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert yaml.safe_load((tmp_path / "first" / "recipe.yaml").read_text()) == again.model_dump(mode="json")


def test_a_last_batch_of_one_image_is_left_out_where_batchnorm_cannot_use_it(tmp_path):
    """32 training images in batches of 31, and networks that end in maps of one position."""
    result = train_recipe(recipe_for(training={"batch_size": 31}), tmp_path)
    assert "1 training images, others each time, sit out every epoch: BatchNorm wants two images of their size" in (
        result.notes
    )
