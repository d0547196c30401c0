import threading
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from preceptor.composed import load_network
from preceptor.data.prepare import prepare
from preceptor.errors import InterruptedRunError, UserError
from preceptor.machine import placement
from preceptor.machine.fabric import make_fabric
from preceptor.machine.placement import MeasuredPlacement, Placement, fastest_placement, largest_batch_group
from preceptor.networks.build import build_network
from preceptor.recipe import load_recipe
from preceptor.specs import NetworkSpec
from preceptor.training import run

from ..data.damage import unwritable
from ..training.phantoms import exported, forget_placements, place, recipe_for, stopping_fit, train


@pytest.fixture(autouse=True)
def _measured_anew(packed):
    forget_placements(packed)


PLAIN, LAST, HALF, FOLDED = Placement(), Placement(channels_last=True), Placement(half=True), Placement(folded=True)


@pytest.mark.parametrize(
    ("times", "best"),
    [
        ({PLAIN: 1.0, LAST: 0.5}, LAST),
        ({PLAIN: 1.0, LAST: 0.97}, PLAIN),  # noise
        ({PLAIN: 1.0, LAST: 1.5, HALF: 5.0}, PLAIN),
        ({PLAIN: 1.0, LAST: 0.9, HALF: 0.4}, HALF),
        ({PLAIN: 1.0, LAST: 0.9, HALF: 0.88}, LAST),  # half is hardly faster than the best float32
        ({PLAIN: 1.0, FOLDED: 0.97}, PLAIN),
        ({PLAIN: 1.0, FOLDED: 0.9, Placement(True, True, True): 0.5}, Placement(True, True, True)),
    ],
)
def test_the_plain_way_unless_another_is_clearly_faster(times, best):
    found = fastest_placement(times)
    assert found.placement == best
    assert len(found.times) == len(times)


@pytest.fixture
def network():
    spec = NetworkSpec(architecture="test_resnet", weights="none")
    return build_network(spec, task="classification", classes=("a", "b"), image_size=(32, 32), seed=0)


def test_measuring_leaves_the_network_as_it_was(network):
    state = {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.get_rng_state()
    found = place(network, 4, trains=True, precision=torch.bfloat16, epochs=1, steps=9)
    assert len(found.times) == 4
    assert all(seconds > 0 for seconds in found.times.values())
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), random)


def test_what_was_measured_is_remembered(network, monkeypatch):
    found = place(network, 4, trains=False, precision=None, epochs=1, steps=9)
    monkeypatch.setattr(placement, "_times", lambda *_: pytest.fail("measured again"))
    assert place(network, 4, trains=False, precision=None, epochs=1, steps=9) == found
    with pytest.raises(pytest.fail.Exception):
        place(network, 8, trains=False, precision=None, epochs=1, steps=9)


@pytest.fixture
def remembered(network, monkeypatch, tmp_path):
    """Places the network, and the file in which that is remembered."""
    monkeypatch.setenv("PRECEPTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(placement, "_times", lambda *_: {Placement(): 1.0, Placement(channels_last=True): 0.1})

    def again():
        return place(network, 4, trains=True, precision=None, epochs=1, steps=9)

    again()
    (file,) = (tmp_path / "cache" / "placement").glob("*.json")
    return again, file


def test_what_is_remembered_is_verified_and_measured_anew_where_it_is_damaged(remembered, capsys):
    again, file = remembered
    whole, found = file.read_bytes(), again()
    for bit in range(1, 8 * len(whole), 37):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        file.write_bytes(content)
        assert again() == found
    assert f"{file}: was changed or damaged after it was written; it is measured anew" in capsys.readouterr().err
    file.write_text("")
    assert again() == found
    assert file.read_bytes() == whole


def test_what_is_remembered_serves_where_nothing_can_be_written(remembered, capsys):
    again, file = remembered
    found = again()
    with unwritable(file.parent):
        assert again() == found
        assert capsys.readouterr().err == ""
    file.unlink()
    (file.parent / "lock").unlink()
    with unwritable(file.parent):
        plain = again()
    assert (plain.placement, plain.words()) == (Placement(), f"{Placement()}, unmeasured")
    assert "no way of computing is measured" in capsys.readouterr().err


@pytest.fixture
def placed(monkeypatch, tmp_path):
    """What every network is to be found best at; yields the cohorts that were trained."""
    cohorts, placements = [], {}
    fit = run.train_stage
    monkeypatch.setenv("PRECEPTOR_CACHE", str(tmp_path / "cache"))

    def noting(fabric, stage, cohort, *more, **options):
        cohorts.append(cohort)
        return fit(fabric, stage, cohort, *more, **options)

    monkeypatch.setattr(run, "train_stage", noting)
    monkeypatch.setattr(placement, "_times", lambda *_: dict(placements))
    return placements, cohorts


def test_a_run_computes_as_was_measured(packed, tmp_path, placed):
    placements, cohorts = placed
    placements |= {PLAIN: 1.0, LAST: 0.5, HALF: 2.0, Placement(True, True): 2.0}
    training = {"epochs": 1, "placement": "measured", "precision": "bf16-mixed"}
    recipe = recipe_for("classification", {"name": "kd_online"}, packed, training=training)
    result, text = train(recipe, tmp_path / "run")
    assert {cohorts[0].computing.precision_of(name) for name in ("T", "S1")} == {None}  # half precision was slower
    weight = next(p for p in cohorts[0].networks["T"].parameters() if p.dim() == 4 and p.shape[-1] > 1)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert "T is computed channels last, float32" in text
    assert any("S1 is computed" in note for note in result.notes)


def test_a_teacher_answers_folded_and_is_kept_as_it_was(packed, tmp_path, placed):
    placements, cohorts = placed
    placements |= {PLAIN: 1.0, FOLDED: 0.5}
    training = {"epochs": 3, "placement": "measured"}
    recipe = recipe_for("classification", {"name": "kd_offline"}, packed, training=training, augment={"views": 1})
    _, text = train(recipe, tmp_path / "run")
    cohort = cohorts[-1]
    assert "T is computed contiguous, float32, BatchNorm folded" in text
    assert norms(cohort.frozen["T"]) > norms(cohort.calls["T"])
    assert norms(cohort.learners["S1"]) > 0
    assert "says was read" in text  # from the cache, whose first batch is compared with what is computed
    assert norms(load_network(tmp_path / "run" / "networks" / "T")) == norms(cohort.frozen["T"])


@pytest.fixture
def compiles(monkeypatch):
    """torch.compile without its compiler."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))


def test_compiling_is_tried_where_a_run_is_long(network, compiles, monkeypatch):
    short = place(network, 4, trains=True, precision=None, epochs=1, steps=10)
    assert not any("compiled" in placement for placement in short.times)
    long = place(network, 4, trains=True, precision=None, epochs=1, steps=10**9)
    assert [placement for placement in long.times if placement.endswith("compiled")]
    monkeypatch.setattr(placement, "_times", lambda *_: pytest.fail("measured again"))
    assert place(network, 4, trains=True, precision=None, epochs=1, steps=10**9) == long
    assert place(network, 4, trains=True, precision=None, epochs=1, steps=10) == short


def test_what_cannot_be_compiled_is_not(network, monkeypatch):
    def no_compiler(graph, inputs):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=no_compiler))
    found = place(network, 4, trains=False, precision=None, epochs=1, steps=10**9)
    assert not found.placement.compiled
    assert "compiled fails" in found.words()


@pytest.mark.slow
def test_a_run_trains_compiled_networks(packed, tmp_path, placed, compiles):
    placements, cohorts = placed
    placements |= {PLAIN: 1.0, Placement(compiled=True): 0.5}
    weights = {}
    for kind in ("fixed", "measured"):
        recipe = recipe_for(
            "classification", {"name": "kd_offline"}, packed, training={"epochs": 1, "placement": kind, "lr": 1e-5}
        )
        train(recipe, tmp_path / kind)
        weights[kind] = load_network(tmp_path / kind / "networks" / "S1").state_dict()
    assert cohorts[-1].computing.compiled == {"T", "S1"}
    for name, value in weights["fixed"].items():
        torch.testing.assert_close(weights["measured"][name], value, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("batch_size", "size", "steps", "batch_group"),
    [
        (8, 96, 1000, 4),
        (32, 96, 1000, 1),
        (8, 224, 1000, 1),
        (4, 32, 1000, 64),
        (8, 96, 4, 4),
        (8, 96, 3, 1),  # one of four would be asked for nothing
        (8, 96, 6, 2),
        (8, 96, 39, 4),
    ],
)
def test_batch_groups_are_as_large_as_pays(batch_size, size, steps, batch_group):
    assert largest_batch_group(batch_size, (size, size), steps, "cpu") == batch_group


def test_a_frozen_network_is_asked_about_several_batches_where_that_is_faster(network, monkeypatch, tmp_path):
    monkeypatch.setenv("PRECEPTOR_CACHE", str(tmp_path))

    def times(network, batch_size, trains, precision, placements):
        return {placement: 1.0 / placement.batch_group for placement in placements}

    monkeypatch.setattr(placement, "_times", times)
    frozen = place(network, 4, trains=False, precision=None, epochs=1, steps=1000)
    assert frozen.placement.batch_group == 64
    assert "64 batches at once 16 ms" in frozen.words()
    assert place(network, 4, trains=True, precision=None, epochs=1, steps=1000).placement.batch_group == 1
    assert place(network, 4, trains=False, precision=None, epochs=1, steps=8).placement.batch_group == 8


@pytest.mark.parametrize(
    ("batch_group", "kept"),
    [
        pytest.param(1, (False, True), marks=pytest.mark.slow),
        (2, (True,)),  # which asks the teacher too, in the epoch of the first stop
        pytest.param(2, (False, True), marks=pytest.mark.slow),
        pytest.param(4, (False, True), marks=pytest.mark.slow),
    ],
)
def test_a_stop_amid_a_batch_group_leaves_no_trace(packed, tmp_path, placed, monkeypatch, batch_group, kept):
    """All in one go, and stopped: the same weights, whether what the teacher says is kept or not."""
    placements, cohorts = placed
    placements |= {
        PLAIN: 1.0,
        Placement(batch_group=2): 2.0,
        Placement(batch_group=batch_group): 0.5 if batch_group > 1 else 1.0,
    }
    monkeypatch.setattr(placement, "largest_batch_group", lambda *_: 2)
    weights = set()
    for is_kept in kept:
        training = {"epochs": 3, "placement": "measured", "teacher_cache": {"enabled": is_kept}}
        recipe = recipe_for("classification", {"name": "kd_offline"}, packed, training=training)
        folder = tmp_path / f"{is_kept}"
        for at in ((0, 1), (1, 2)):
            with monkeypatch.context() as patch:
                patch.setattr(run, "train_stage", stopping_fit("main", *at))
                with pytest.raises(InterruptedRunError):
                    train(recipe, folder)
        train(recipe, folder)
        assert cohorts[-1].batch_groups["T"] == batch_group
        train(recipe, folder.with_suffix(".whole"))
        weights |= {exported(folder, "S1"), exported(folder.with_suffix(".whole"), "S1")}
    assert len(weights) == 1


def norms(network):
    return sum(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())


def test_the_plain_choice_changes_nothing(packed, tmp_path, placed):
    placements, _ = placed
    placements |= {PLAIN: 1.0, LAST: 2.0}
    for kind in ("fixed", "measured"):
        training = {"epochs": 1, "placement": kind}
        train(recipe_for("classification", {"name": "kd_online"}, packed, training=training), tmp_path / kind)
    for network in ("T", "S1"):
        assert exported(tmp_path / "fixed", network) == exported(tmp_path / "measured", network)


@pytest.mark.parametrize(
    ("changes", "epochs", "expected"),
    [
        ({}, 199, "fixed"),  # of five steps each
        ({}, 200, "measured"),
        ({"placement": "fixed"}, 200, "fixed"),
        ({"placement": "measured"}, 1, "measured"),
        ({"channels_last": True}, 200, "fixed"),
    ],
)
def test_long_stages_are_measured_unless_told_otherwise(packed, tmp_path, changes, epochs, expected):
    recipe = recipe_for("classification", {"name": "baseline"}, packed, training={"epochs": epochs, **changes})
    made = run.run_of(recipe, prepare(recipe), make_fabric("cpu"), tmp_path)
    assert [stage.training.placement for stage in made.plan.stages] == [expected]


def test_processes_measure_one_after_the_other(network, monkeypatch, tmp_path):
    """The second one takes what the first one found, though it had begun to look before."""
    monkeypatch.setenv("PRECEPTOR_CACHE", str(tmp_path))
    measured, found = [], []

    def times(*_):
        measured.append(1)
        time.sleep(0.2)
        return {PLAIN: 1.0, LAST: 0.5}

    def look():
        found.append(place(network, 4, trains=True, precision=None, epochs=1, steps=9))

    monkeypatch.setattr(placement, "_times", times)
    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(measured) == 1
    assert [one.placement for one in found] == [LAST] * 3


def test_words_say_why():
    assert MeasuredPlacement(LAST, {"channels last, float32": 0.05}).words() == (
        "channels last, float32 (channels last, float32 50 ms)"
    )


def test_one_word_on_the_layout():
    with pytest.raises(UserError, match="placement: measured"):
        load_recipe(
            Path(__file__).parents[2] / "recipes" / "phantom.yaml",
            ["training.placement=measured", "training.channels_last=true"],
        )
