"""Whole runs with kept teachers' outputs: the same bits, and fewer forward passes."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from preceptor.cohort.frozen import FixedSize
from preceptor.teacher_cache.folder import everything_kept

from .phantoms import NEW, TEACHERS, exported, recipe_for, train

STEPS = {"classification": 5, "segmentation": 2}
OFFLINE = {
    "classification": {"name": "kd_offline", "losses": [{"loss": "kd"}, {"loss": "at"}]},
    "segmentation": {"name": "kd_offline", "losses": [{"loss": "kd"}, {"loss": "at"}]},
}
"""Logits and maps are read."""

OFF = {"teacher_cache": {"enabled": False}}


@pytest.fixture
def cache(tmp_path, packed):
    """A cache of its own, with the phantoms packed; what teachers of other tests said stays behind."""
    shutil.copytree(packed, tmp_path / "cache", ignore=shutil.ignore_patterns("teachers"))
    return tmp_path / "cache"


@pytest.fixture
def passes(monkeypatch):
    """Sizes of the calls of frozen networks."""
    counted = []
    compute = FixedSize.compute

    def counting(self, name, network, images):
        counted.append(len(images))
        return compute(self, name, network, images)

    monkeypatch.setattr(FixedSize, "compute", counting)
    return counted


def offline(task, cache, teacher, **changes):
    training = {"epochs": 2, **changes.pop("training", {})}
    return recipe_for(task, {**OFFLINE[task], "teacher": str(teacher)}, cache, training=training, **changes)


def left_by(folder):
    return exported(folder, "S1"), (folder / "metrics.csv").read_bytes(), (folder / "predictions/test.csv").read_bytes()


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_a_run_ends_with_the_same_bits_without_with_and_on_a_full_cache(tmp_path, cache, teachers, passes, task):
    runs = {}
    for name, enabled in (("without", False), ("filling", True), ("reading", True)):
        passes.clear()
        recipe = offline(task, cache, teachers[task], training={"teacher_cache": {"enabled": enabled}})
        _, text = train(recipe, tmp_path / name)
        runs[name] = (left_by(tmp_path / name), len(passes), text)
    assert runs["without"][0] == runs["filling"][0] == runs["reading"][0]
    everything = 2 * STEPS[task]
    assert [counted for _, counted, _ in runs.values()] == [everything, everything + 1, 1]
    assert "teacher cache" not in runs["without"][2]
    assert "T's logits, " in runs["filling"][2]


def test_another_student_and_another_technique_read_what_one_run_kept(tmp_path, cache, teachers, passes):
    train(offline("classification", cache, teachers["classification"]), tmp_path / "first")
    passes.clear()
    student = {"student": {"architecture": "resnet10t", **NEW}}
    train(offline("classification", cache, teachers["classification"], networks=student), tmp_path / "student")
    technique = {"name": "kd_offline", "strategy": "predictions", "teacher": str(teachers["classification"])}
    technique |= {"hint": {"loss": "at"}, "hint_epochs": 1}
    train(recipe_for("classification", technique, cache, training={"epochs": 2}), tmp_path / "hint")
    assert len(passes) == 1 + 2  # a comparison in each stage
    assert len(everything_kept(cache / "teachers")) == 1


@pytest.mark.slow
def test_another_seed_has_pixels_of_its_own(tmp_path, cache, teachers, passes):
    recipe = offline("classification", cache, teachers["classification"], split={"seed": 0})
    train(recipe, tmp_path / "first")
    passes.clear()
    train(recipe.model_copy(update={"seed": 1}), tmp_path / "second")
    assert len(passes) == 2 * 5 + 1
    still = {"flip_horizontal": False, "flip_vertical": False}
    unchanged = offline("classification", cache, teachers["classification"], split={"seed": 0}, augment=still)
    for seed, expected in ((0, 5 + 1 + 1), (1, 1)):
        passes.clear()
        train(unchanged.model_copy(update={"seed": seed}), tmp_path / f"still-{seed}")
        assert len(passes) == expected


def test_a_seed_of_the_changes_alone_lets_all_seeds_read_one_teacher(tmp_path, cache, teachers, passes):
    recipe = offline("classification", cache, teachers["classification"], split={"seed": 0}, augment={"seed": 5})
    students = []
    for seed, expected in ((0, 2 * 5 + 1), (1, 1)):
        passes.clear()
        train(recipe.model_copy(update={"seed": seed}), tmp_path / str(seed))
        assert len(passes) == expected
        students.append(exported(tmp_path / str(seed), "S1"))
    assert students[0] != students[1]


def test_views_in_turn_are_the_same_with_and_without(tmp_path, cache, teachers, passes):
    """Four epochs of two views: the second half is read, in another order and with other last batches."""
    for name, enabled in (("without", False), ("with", True)):
        passes.clear()
        recipe = offline(
            "classification",
            cache,
            teachers["classification"],
            augment={"views": 2, "rotate": 20},
            training={"epochs": 4, "teacher_cache": {"enabled": enabled}},
        )
        train(recipe, tmp_path / name)
    assert left_by(tmp_path / "with") == left_by(tmp_path / "without")
    assert len(passes) == 1 + 2 * 5 + 1


def test_half_precision_stays_the_same_whatever_is_kept(tmp_path, cache, teachers):
    recipes = {
        dtype: offline(
            "classification", cache, teachers["classification"], training={"teacher_cache": {"dtype": dtype}}
        )
        for dtype in ("float16", "float32")
    }
    results = {name: train(recipes["float16"], tmp_path / name)[0] for name in ("filling", "reading")}
    assert left_by(tmp_path / "filling") == left_by(tmp_path / "reading")
    results["exact"] = train(recipes["float32"], tmp_path / "exact")[0]
    assert left_by(tmp_path / "exact") != left_by(tmp_path / "reading")
    one, other = (torch.load(tmp_path / name / "checkpoints/main/S1.best.ckpt") for name in ("exact", "reading"))
    for key, value in one.items():
        torch.testing.assert_close(other[key], value, rtol=0.05, atol=0.05)


def test_a_budget_that_is_too_small_leaves_the_teacher_live(tmp_path, cache, teachers, passes):
    training = {"teacher_cache": {"budget": 1e-6}}
    recipe = offline("classification", cache, teachers["classification"], training=training)
    _, text = train(recipe, tmp_path / "small")
    assert "2 are not kept but computed in every step" in text
    assert len(passes) == 2 * 5
    assert not list((cache / "teachers").glob("*/*.shard"))


def test_a_damaged_shard_is_said_and_made_anew(tmp_path, cache, teachers):
    recipe = offline("classification", cache, teachers["classification"])
    train(recipe, tmp_path / "first")
    shard = sorted((cache / "teachers").glob("*/view-00001.logits.*.shard"))[0]
    content = bytearray(shard.read_bytes())
    content[3] ^= 1
    shard.write_bytes(content)
    _, text = train(recipe, tmp_path / "second")
    assert f"{shard}: " in text
    assert "made anew" in text
    assert left_by(tmp_path / "first") == left_by(tmp_path / "second")
    assert "made anew" not in train(recipe, tmp_path / "third")[1]


@pytest.mark.parametrize("cold", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_run_stopped_inside_an_epoch_ends_with_the_same_bits(tmp_path, cache, teachers, interrupted, passes, cold):
    recipe = offline("classification", cache, teachers["classification"])
    train(recipe, tmp_path / "whole")
    if cold:
        shutil.rmtree(cache / "teachers")
    interrupted(recipe, tmp_path / "parted", epoch=1, step=2)
    passes.clear()
    train(recipe, tmp_path / "parted")
    assert left_by(tmp_path / "whole") == left_by(tmp_path / "parted")
    assert len(passes) == (5 - 3 if cold else 1)


@pytest.mark.slow
def test_every_snapshot_has_a_key_of_its_own(tmp_path, cache):
    technique = {"name": "multi_part", "every": 2}
    recipe = recipe_for("classification", technique, cache, training={"epochs": 4})
    train(recipe, tmp_path / "run")
    kept = everything_kept(cache / "teachers")
    assert len(kept) == len({one.facts["network"]["weights"] for one in kept}) == 2
    assert {path.name[:10] for one in kept for path in one.shards} == {f"view-0000{view}" for view in range(4)}


@pytest.mark.slow
def test_a_committee_is_computed_from_what_its_teachers_said(tmp_path, cache, passes):
    """Every teacher has a key of its own, and the second run asks none of them."""
    networks = {"teacher": None, "teachers": [TEACHERS["classification"]] * 2}
    recipe = recipe_for("classification", {"name": "multi_teacher"}, cache, networks=networks)
    train(recipe, tmp_path / "first")
    passes.clear()
    train(recipe, tmp_path / "second")
    assert left_by(tmp_path / "first") == left_by(tmp_path / "second")
    assert len(everything_kept(cache / "teachers")) == 2
    assert len(passes) == 2


@pytest.mark.slow
def test_bfloat16_is_kept_as_it_is_computed(tmp_path, cache, teachers, passes):
    training = {"epochs": 2, "precision": "bf16-mixed"}
    recipe = offline("classification", cache, teachers["classification"], training=training)
    train(recipe, tmp_path / "first")
    passes.clear()
    train(recipe, tmp_path / "second")
    assert left_by(tmp_path / "first") == left_by(tmp_path / "second")
    assert len(passes) == 1


@pytest.mark.slow
def test_channels_last_is_kept_as_it_lies(tmp_path, cache, teachers, passes):
    runs = {}
    for name, enabled in (("without", False), ("filling", True), ("reading", True)):
        passes.clear()
        training = {"epochs": 2, "channels_last": True, "teacher_cache": {"enabled": enabled}}
        train(offline("segmentation", cache, teachers["segmentation"], training=training), tmp_path / name)
        runs[name] = left_by(tmp_path / name)
    assert runs["without"] == runs["filling"] == runs["reading"]
    assert len(passes) == 1


def command(recipe, out):
    return [sys.executable, "-m", "preceptor", "train", str(recipe), "--out", str(out)]


@pytest.fixture
def written(tmp_path):
    def write(recipe, name="recipe"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(recipe.to_yaml())
        return path

    return write


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_that_harms(tmp_path, cache, teachers, written):
    """kill -9 while shards are being written, twice, then to the end."""
    training = {"epochs": 12}
    path = written(offline("classification", cache, teachers["classification"], training=training))
    for _ in range(2):
        before = len(list((cache / "teachers").glob("*/*.shard")))
        process = subprocess.Popen(command(path, tmp_path / "killed"), stdout=subprocess.DEVNULL)
        while len(list((cache / "teachers").glob("*/*.shard"))) < before + 2:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command(path, tmp_path / "killed"), check=True, capture_output=True)
    assert not list((cache / "teachers").glob("*/.*.part"))
    plain = offline("classification", cache, teachers["classification"], training={**training, **OFF})
    train(plain, tmp_path / "whole")
    assert left_by(tmp_path / "whole") == left_by(tmp_path / "killed")


@pytest.mark.slow
def test_two_runs_at_once_share_a_cache(tmp_path, cache, teachers, written):
    """Started together on an empty cache, with unlike students; each ends as it does alone."""
    students = {"one": "mobilenetv3_small_050", "two": "resnet10t"}
    recipes = {
        name: offline(
            "classification",
            cache,
            teachers["classification"],
            networks={"student": {"architecture": architecture, **NEW}},
            training={"epochs": 4},
        )
        for name, architecture in students.items()
    }
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(command(written(recipe, name), tmp_path / name), env=environment, stdout=subprocess.DEVNULL)
        for name, recipe in recipes.items()
    ]
    assert [process.wait(timeout=200) for process in running] == [0, 0]
    assert not list((cache / "teachers").glob("*/.*.part"))
    for name, recipe in recipes.items():
        train(recipe, tmp_path / f"{name}-alone")
        assert left_by(tmp_path / name) == left_by(tmp_path / f"{name}-alone")
