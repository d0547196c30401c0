"""The clock on real steps of small networks."""

from types import SimpleNamespace

import pytest
import torch

from preceptor.bench import steps as module
from preceptor.bench.steps import DATA, Clock, Steps, parts_in_order
from preceptor.data.prepare import prepare
from preceptor.machine.fabric import make_fabric
from preceptor.networks.cost import cost_of
from preceptor.training.run import run_of

from ..training.phantoms import BATCH, NEW, recipe_for

KD = {"name": "kd_offline", "losses": [{"loss": "kd"}, {"loss": "fitnet"}]}


@pytest.fixture
def steps(packed, tmp_path):
    recipe = recipe_for("classification", KD, packed, training={"ema": 0.9, "max_grad_norm": 1.0})
    run = run_of(recipe, prepare(recipe), make_fabric("cpu"), tmp_path / "run")
    stage = next(stage for stage in run.plan.stages if stage.name == "main")
    return Steps(run, stage, tmp_path / "scratch")


def test_every_part_is_timed_and_the_student_alone_learns(steps):
    before = {name: value.clone() for name, value in steps.cohort.state_dict().items()}
    teacher = {name: value.clone() for name, value in steps.cohort.frozen["T"].state_dict().items()}
    found = steps.measure(2, "computed")
    parts = [DATA, "T forward, frozen", "S1 forward", "losses", "backward", "optimiser"]
    assert parts_in_order(found.shares) == parts
    assert all(share > 0 for share in found.shares.values())
    assert sum(found.shares.values()) <= 1
    now = steps.cohort.state_dict()
    unchanged = [name for name, value in now.items() if value.is_floating_point() and torch.equal(value, before[name])]
    assert [name for name in unchanged if "weight" in name] == []
    assert all(torch.equal(value, teacher[name]) for name, value in steps.cohort.frozen["T"].state_dict().items())


def test_what_is_read_is_not_computed(steps):
    computed, read = steps.measure(1, "computed"), steps.measure(1, "read")
    teacher = cost_of(steps.cohort.frozen["T"])
    assert computed.multiply_adds - read.multiply_adds == BATCH["classification"] * teacher.multiply_adds
    assert read.multiply_adds > 0


def test_shares_are_those_of_the_time(steps, monkeypatch):
    """Waiting takes 4, the teacher 3 and the student 1 of a time in which nothing else happens: 8 in all."""
    now = [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def taking(call, seconds):
        def slow(*given):
            now[0] += seconds
            return call(*given)

        return slow

    steps.cohort.frozen["T"].prepare = taking(steps.cohort.frozen["T"].prepare, 3.0)
    steps.cohort.learners["S1"].prepare = taking(steps.cohort.learners["S1"].prepare, 1.0)
    real = steps.batches.epoch
    steps.batches.epoch = lambda epoch: (taking(lambda batch: batch, 4.0)(batch) for batch in real(epoch))
    found = steps.measure(1, "computed")
    assert found.seconds == 8.0
    spent = {part: share for part, share in found.shares.items() if share}
    assert spent == {DATA: 4 / 8, "T forward, frozen": 3 / 8, "S1 forward": 1 / 8}
    read = steps.measure(1, "read")
    assert read.seconds == 5.0
    assert read.shares["S1 forward"] == 1 / 5


def test_networks_that_are_built_on_others_are_timed(packed, tmp_path):
    student = {"architecture": "test_resnet", **NEW}
    recipe = recipe_for("classification", {"name": "self_distill"}, packed, networks={"student": student})
    run = run_of(recipe, prepare(recipe), make_fabric("cpu"), tmp_path / "run")
    steps = Steps(run, run.plan.stages[0], tmp_path / "scratch")
    assert not steps.has_frozen
    found = steps.measure(1, "computed").shares
    assert {"S1 forward", "E1 forward", "E3 forward"} <= set(found)
    assert sum(found.values()) <= 1


def test_the_clock_adds_up():
    clock = Clock()
    times = iter([0.0, 1.0, 5.0, 7.5, 10.0, 10.5])
    clock.now = lambda: next(times)
    with clock("one"):
        pass
    with pytest.raises(ValueError, match="inside"), clock("one"):
        raise ValueError("inside")
    assert clock.around("other", lambda value: value + 1)(1) == 2
    assert clock.spent == {"one": 3.5, "other": 0.5}
