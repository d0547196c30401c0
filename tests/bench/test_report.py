"""Measuring whole recipes of small networks."""

import os

import pytest
import torch

from preceptor.bench import report
from preceptor.bench.advice import Change
from preceptor.bench.machine import Best
from preceptor.bench.report import bench
from preceptor.bench.steps import Timed
from preceptor.errors import UserError

from ..training.phantoms import recipe_for

KD = {"name": "kd_offline"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(report, "measure_best", lambda device, precision: Best(product=1e9, convolution=2e9))


@pytest.fixture
def only(monkeypatch):
    """``only(change…)``: what is tried."""

    def choose(*changes):
        monkeypatch.setattr(report, "to_try", lambda *given, **named: list(changes))

    return choose


def test_every_stage_is_measured_and_nothing_is_left(packed, tmp_path, monkeypatch, only):
    only()
    monkeypatch.chdir(tmp_path)
    recipe = recipe_for("classification", KD, packed, augment={"views": 1}, teacher_training={"epochs": 3})
    before, threads = sorted(packed.rglob("*")), torch.get_num_threads()
    kept = [path for path in before if "teachers" in path.parts]
    said = []
    found = bench(recipe, steps=2, device="cpu", note=said.append)
    teacher, main = found.stages
    assert (teacher.name, main.name) == ("teacher", "main")
    assert (teacher.pace.epochs, teacher.pace.views, teacher.pace.read) == (3, 1, None)
    assert (main.pace.epochs, main.pace.steps, main.pace.views) == (2, 5, 1)
    assert main.pace.read is not None
    assert main.seconds == 5 * (main.pace.computed.seconds + main.pace.read.seconds)
    assert "stage main" in said
    assert sorted(tmp_path.iterdir()) == []
    assert set(before) <= set(packed.rglob("*"))
    assert [path for path in sorted(packed.rglob("*")) if "teachers" in path.parts] == kept
    assert torch.get_num_threads() == threads


def test_a_change_is_timed_against_the_recipe_as_it_is(packed, monkeypatch, only):
    """A batch of twice the size that takes 1.5 times as long gives 4/3 as many images per second."""
    only(Change((("training.batch_size", 16),), "training", "why"))
    seconds = {8: 2.0, 16: 3.0}

    def measure(self, count, teacher):
        return Timed(seconds[self.stage.training.batch_size], {}, 1)

    monkeypatch.setattr(report.Steps, "measure", measure)
    found = bench(recipe_for("classification", {"name": "baseline"}, packed), steps=2, device="cpu", note=print)
    assert [one.gain for one in found.tried] == [pytest.approx(4 / 3)]
    assert found.advice.startswith("training.batch_size=16: 1.33 times as fast")


def test_parts_of_a_phase_are_measured_once(packed, only):
    only()
    technique = {"name": "multi_part", "every": 1}
    recipe = recipe_for("classification", technique, packed, training={"epochs": 2}, teacher_training={"epochs": 2})
    found = bench(recipe, steps=2, device="cpu", note=print)
    assert [stage.pace.epochs for stage in found.stages] == [2, 2]
    assert found.stages[-1].pace.views == 2  # each part has another teacher


def test_several_processes_are_refused(packed, monkeypatch):
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "2")
    with pytest.raises(UserError, match="without torchrun"):
        bench(recipe_for("classification", KD, packed), steps=2, note=print)


@pytest.mark.slow
def test_all_changes_are_tried(packed, monkeypatch):
    monkeypatch.setattr(report.os, "sched_getaffinity", lambda process: {0})  # more threads than cores take minutes
    found = bench(recipe_for("classification", KD, packed), steps=2, device="cpu", note=print)
    assert len(found.tried) >= 3
    assert all(one.gain > 0 for one in found.tried)
    assert found.advice
