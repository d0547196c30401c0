"""Dynamic KD as whole runs on a few phantom images: identities, the anchor, resuming."""

import pytest
import torch

from .phantoms import exported, last, recipe_for, train

TASKS = pytest.mark.parametrize("task", ["classification", pytest.param("segmentation", marks=pytest.mark.slow)])
NEITHER = {"teacher_learns": 0, "anchor": 0}


def dynamic(task, packed, **technique):
    return recipe_for(task, {"name": "dynamic_kd", **technique}, packed)


def test_a_frozen_teacher_that_learns_nothing_is_offline_distillation(tmp_path, packed):
    """The teacher is trained first in both; all rows of metrics.csv and all exported weights are equal."""
    frozen = {"teacher_lr": 0, **NEITHER, "weight": 0.8, "alpha": 0.2, "temperature": 2.0}
    train(dynamic("classification", packed, **frozen), tmp_path / "dynamic")
    train(recipe_for("classification", {"name": "kd_offline"}, packed), tmp_path / "kd")
    assert (tmp_path / "dynamic" / "metrics.csv").read_bytes() == (tmp_path / "kd" / "metrics.csv").read_bytes()
    for name in ("T", "S1"):
        assert exported(tmp_path / "dynamic", name) == exported(tmp_path / "kd", name)


@TASKS
@pytest.mark.parametrize("name", ["kd_offline", "kd_online"])
def test_without_back_edges_it_is_distillation_from_the_same_start(tmp_path, packed, teachers, task, name):
    given = {"teacher": str(teachers[task]), "alpha": 0.2, "temperature": 2.0}
    rate = {"kd_offline": 0, "kd_online": 1}[name]
    train(dynamic(task, packed, **NEITHER, **given, weight=0.8, teacher_lr=rate), tmp_path / "dynamic")
    train(recipe_for(task, {"name": name, **given, "beta": 0.8}, packed), tmp_path / "kd")
    assert (tmp_path / "dynamic" / "metrics.csv").read_bytes() == (tmp_path / "kd" / "metrics.csv").read_bytes()
    for network in ("T", "S1"):
        assert exported(tmp_path / "dynamic", network) == exported(tmp_path / "kd", network)
    one, other = last(tmp_path / "dynamic"), last(tmp_path / "kd")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def moved(folder, start):
    """How far the teacher's parameters came from ``start``."""
    end = last(folder)
    return sum((end[f"learners.T.{name}"] - value).square().sum().item() for name, value in start.items()) ** 0.5


def test_the_teacher_learns_slowly_and_the_anchor_holds_it(tmp_path, packed, teachers, starts):
    """With SGD steps are as long as gradients: a tenth of the rate moves it less, a heavier anchor keeps it nearer."""
    distance = {}
    cases = {"fast": {"teacher_lr": 1.0}, "slow": {"teacher_lr": 0.1}, "held": {"teacher_lr": 1.0, "anchor": 5.0}}
    for name, technique in cases.items():
        recipe = dynamic("classification", packed, teacher=str(teachers["classification"]), **technique)
        training = recipe.training.model_copy(update={"optimizer": "sgd", "lr": 1e-3, "momentum": 0.0})
        result, _ = train(recipe.model_copy(update={"training": training}), tmp_path / name)
        start = {k.removeprefix("learners.T."): v for k, v in starts["main"].items() if k.startswith("learners.T.")}
        distance[name] = moved(tmp_path / name, start)
        assert set(result.test) == {"T", "S1"}
        assert set(result.fidelity) == {"S1"}
    assert 0 < distance["slow"] < 0.3 * distance["fast"]
    held, free = (_final(tmp_path / name, "loss:T0->T/kd") for name in ("held", "fast"))
    assert held / 5.0 < free / 0.5


def _final(folder, metric):
    rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    return float([row[5] for row in rows if row[4] == metric][-1])


@TASKS
def test_a_stopped_run_ends_with_the_same_bits(tmp_path, packed, teachers, interrupted, task):
    recipe = dynamic(task, packed, teacher=str(teachers[task]))
    train(recipe, tmp_path / "whole")
    interrupted(recipe, tmp_path / "stopped", epoch=1, step=1)
    train(recipe, tmp_path / "stopped")
    assert (tmp_path / "whole" / "metrics.csv").read_text() == (tmp_path / "stopped" / "metrics.csv").read_text()
    for name in ("T", "S1"):
        assert exported(tmp_path / "whole", name) == exported(tmp_path / "stopped", name)
