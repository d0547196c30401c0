"""Runs whose packed images are damaged end with the bits of one whose images are not, and say so."""

import json
import shutil

import numpy as np
import pytest
import torch
from rich.console import Console

from preceptor.analysis.analyse import analyse
from preceptor.bench.report import bench
from preceptor.errors import InterruptedRunError
from preceptor.opened_run import open_run
from preceptor.teacher_cache.folder import everything_kept
from preceptor.teacher_cache.verify import verify
from preceptor.training import run
from preceptor.training.together import train_together

from ..data.damage import FILES, flip, unwritable
from .phantoms import UNET, exported, last, recipe_for, stopping_fit, train

BASELINE = {"name": "baseline"}
QUICK = {name: {"architecture": "test_resnet", "weights": "none"} for name in ("teacher", "student")}
AS_SHOWN = {"flip_horizontal": False, "flip_vertical": False}
CHANGES = {"networks": QUICK, "augment": AS_SHOWN, "teacher_training": {"epochs": 1}}


def same(one, other):
    """Whether two run folders are equal in all that was computed."""
    for name in (path.name for path in (one / "networks").iterdir()):
        assert exported(one, name) == exported(other, name)
    for file in ("metrics.csv", "split.csv", "predictions/test.csv", "predictions/validation.csv"):
        assert (one / file).read_bytes() == (other / file).read_bytes(), file
    a, b = (json.loads((folder / "result.json").read_text()) for folder in (one, other))
    assert {key: a[key] for key in a if key not in ("seconds", "images_per_second", "sha256")} == {
        key: b[key] for key in b if key not in ("seconds", "images_per_second", "sha256")
    }
    return True


def packed_in(cache):
    (folder,) = (path for path in (cache / "packed").iterdir() if path.is_dir())
    return folder


def spoil(file):
    """A bit of every row flipped."""
    content = np.fromfile(file, dtype=np.uint8)
    content[5 :: 32 * 32] ^= 0x10
    with file.open("r+b") as opened:
        opened.write(content.tobytes())


class Spoiling:
    """A watcher that damages every row when a step of an epoch is done, once."""

    def __init__(self, cache, epoch, step):
        self.cache, self.at = cache, (epoch, step)

    def stage(self, *given): ...
    def epoch(self, *given): ...
    def step(self, epoch, step, images, waited):
        if (epoch, step) == self.at:
            self.at = None
            spoil(packed_in(self.cache) / "images.u8")


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A recipe, its cache, and the folder of a run that met no damage. Whoever damages the cache has it repaired."""
    folder = tmp_path_factory.mktemp("calm")
    recipe = recipe_for("classification", {"name": "kd_offline"}, folder / "cache", **CHANGES)
    train(recipe, folder / "run")
    return recipe, folder / "cache", folder / "run"


@pytest.mark.parametrize("name", [name for name in FILES if name != "masks.u8"])
def test_damage_between_two_runs(calm, tmp_path, name):
    """Each file of the packed set has a flipped bit."""
    recipe, cache, undamaged = calm
    folder = packed_in(cache)
    flip(folder / name, 8 * ((folder / name).stat().st_size // 3) + 1)
    _, said = train(recipe, tmp_path / "run")
    assert same(tmp_path / "run", undamaged)
    (line,) = (line for line in said.splitlines() if "anew" in line or "compared instead" in line)
    assert line.startswith(f"note: {folder / name}: ")


def test_what_a_process_with_a_quiet_console_repairs_is_said_too(calm, tmp_path, capsys):
    """Under torchrun any process may be the one that packs."""
    recipe, cache, _ = calm
    flip(packed_in(cache) / "table.npz", 900)
    run.train_recipe(recipe, tmp_path / "run", device="cpu", console=Console(quiet=True))
    assert capsys.readouterr().err.count("the images are packed anew") == 1


@pytest.mark.parametrize("at", [(1, 2), (2, 5)], ids=["training", "validation"])
def test_damage_while_a_run_trains(calm, tmp_path, at):
    """The run goes on from its last checkpoint with images that were packed anew, to the same bits."""
    recipe, cache, undamaged = calm
    watcher = Spoiling(cache, *at)
    run.train_recipe(recipe, tmp_path / "run", device="cpu", watchers=[watcher])
    assert watcher.at is None
    assert same(tmp_path / "run", undamaged)


def test_damage_between_a_kill_and_the_resume(calm, tmp_path, monkeypatch):
    recipe, cache, undamaged = calm
    with monkeypatch.context() as patch:
        patch.setattr(run, "train_stage", stopping_fit("main", 1, 2))
        with pytest.raises(InterruptedRunError):
            train(recipe, tmp_path / "run")
    spoil(packed_in(cache) / "images.u8")
    _, said = train(recipe, tmp_path / "run")
    assert "images.u8: row" in said
    assert same(tmp_path / "run", undamaged)
    assert all(torch.equal(value, last(undamaged)[name]) for name, value in last(tmp_path / "run").items())


def test_a_run_in_a_cache_that_cannot_be_written(calm, tmp_path):
    recipe, cache, undamaged = calm
    with unwritable(cache):
        _, said = train(recipe, tmp_path / "run")
    assert same(tmp_path / "run", undamaged)
    assert "what T says was read" in said
    assert "Permission" not in said


def test_evaluation_of_damaged_images_gives_the_same_scores(tmp_path, capsys):
    changes = CHANGES | {"networks": {"student": UNET | {"encoder": "test_resnet"}}}
    recipe = recipe_for("segmentation", BASELINE, tmp_path / "cache", **changes)
    train(recipe, tmp_path / "run")
    undamaged = open_run(tmp_path / "run").evaluate(device="cpu")
    spoil(packed_in(tmp_path / "cache") / "masks.u8")
    found = open_run(tmp_path / "run").evaluate(device="cpu")
    assert found.scores == undamaged.scores
    assert "masks.u8: row" in capsys.readouterr().err


def test_runs_trained_as_one_go_on_with_images_packed_anew(tmp_path, capsys):
    cells = {"a": BASELINE, "b": {"name": "ml"}}
    changes = CHANGES | {"networks": QUICK | {"count": 2}}
    recipes = {
        name: recipe_for("classification", technique, tmp_path / "cache", **changes)
        for name, technique in cells.items()
    }
    for out in ("calm", "run"):
        runs = {tmp_path / out / name: one for name, one in recipes.items()}
        train_together(runs, tmp_path / out / "shared", device="cpu")
        spoil(packed_in(tmp_path / "cache") / "images.u8")
    for name in cells:
        assert same(tmp_path / "run" / name, tmp_path / "calm" / name)
    assert capsys.readouterr().out.count("the images are packed anew") == 1


@pytest.mark.slow
def test_analysis_and_bench_of_damaged_images(calm, capsys):
    recipe, cache, undamaged = calm
    analyse(undamaged, device="cpu", part="validation")
    numbers = (undamaged / "analysis" / "cka.json").read_bytes()
    spoil(packed_in(cache) / "images.u8")
    analyse(undamaged, device="cpu", part="validation")
    assert (undamaged / "analysis" / "cka.json").read_bytes() == numbers
    spoil(packed_in(cache) / "images.u8")
    bench(recipe, steps=2, device="cpu", note=lambda line: None)
    assert capsys.readouterr().err.count("the images are packed anew") == 2


def test_kept_outputs_are_not_judged_by_damaged_images(calm, tmp_path):
    recipe, cache, _ = calm
    (kept,) = everything_kept(cache / "teachers")
    folder = packed_in(cache)
    spoil(folder / "images.u8")
    verdict = verify(kept, entries=8)
    assert (verdict.compared, verdict.wrong) == (0, ())
    assert verdict.unable.startswith(f"{folder / 'images.u8'}: row ")
    assert kept.shards
    train(recipe, tmp_path / "run")
    assert verify(kept, entries=8).compared == 8


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", FILES)
def test_runs_over_a_hundred_flipped_bits(tmp_path, name):
    task = "segmentation" if name == "masks.u8" else "classification"
    student = UNET | {"encoder": "test_resnet"} if name == "masks.u8" else QUICK["student"]
    changes = CHANGES | {"networks": {"student": student}, "training": {"epochs": 1}}
    recipe = recipe_for(task, BASELINE, tmp_path / "cache", **changes)
    train(recipe, tmp_path / "calm")
    folder = packed_in(tmp_path / "cache")
    shutil.copytree(folder, tmp_path / "whole")
    size = 8 * (folder / name).stat().st_size
    noticed = 0
    for bit in np.random.default_rng(1).integers(size, size=100).tolist():
        flip(folder / name, bit)
        _, said = train(recipe, tmp_path / "run")
        assert same(tmp_path / "run", tmp_path / "calm"), bit
        noticed += "anew" in said or "compared instead" in said
        shutil.rmtree(tmp_path / "run")
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "whole", folder)
    assert noticed >= (100 if name == "table.npz" else 80)  # the others had no effect
