"""Multi-Part KD as whole runs on a few phantom images: identities, memory, resuming."""

import gc
import json
import weakref

import pytest
import torch

from preceptor.data.prepare import prepare
from preceptor.errors import UserError
from preceptor.knowledge.base import class_logits
from preceptor.networks.classifier import Classifier
from preceptor.techniques.multi_part import LatestWithin
from preceptor.training import build, choose, run
from preceptor.training.fit import train_stage
from preceptor.training.planning import workshop_of

from .phantoms import exported, last, recipe_for, train


def parts(packed, task="classification", *, epochs=4, every=2, training=None, **technique):
    return recipe_for(
        task,
        {"name": "multi_part", "every": every, **technique},
        packed,
        training={"epochs": epochs, **(training or {})},
    )


def rows(folder, stage):
    """Rows of ``metrics.csv`` of stages whose name begins so, without that name."""
    lines = (folder / "metrics.csv").read_text().splitlines()
    return [line.partition(",")[2] for line in lines if line.startswith(stage)]


def snapshots(folder):
    return sorted((folder / "checkpoints" / "teacher").glob("T.epoch-*.ckpt"))


@pytest.fixture(scope="module")
def routes(tmp_path_factory, packed):
    """A finished run of two parts with a teacher of its own, by task; trained where it is first wanted."""

    class Routes(dict):
        def __missing__(self, task):
            self[task] = tmp_path_factory.mktemp(f"route-{task}")
            train(parts(packed, task), self[task])
            return self[task]

    return Routes()


TASKS = pytest.mark.parametrize("task", ["classification", pytest.param("segmentation", marks=pytest.mark.slow)])
WEIGHTS = {"alpha": 0.5, "beta": 0.5, "temperature": 5.0}


@TASKS
def test_with_one_snapshot_it_is_offline_distillation(tmp_path, packed, routes, task):
    given = snapshots(routes[task])[0]
    train(parts(packed, task, every=4, snapshots=[str(given)]), tmp_path / "parts")
    offline = {"name": "kd_offline", "teacher": str(given), **WEIGHTS}
    train(recipe_for(task, offline, packed, training={"epochs": 4}), tmp_path / "kd")
    assert (tmp_path / "parts" / "metrics.csv").read_bytes() == (tmp_path / "kd" / "metrics.csv").read_bytes()
    for name in ("S1", "T"):
        assert exported(tmp_path / "parts", name) == exported(tmp_path / "kd", name)


@pytest.mark.parametrize(
    ("task", "every", "more"),
    [
        ("classification", 2, {"schedule": "cosine"}),
        pytest.param("segmentation", 2, {"schedule": "cosine"}, marks=pytest.mark.slow),
        pytest.param("classification", 1, {"validate_every": 2}, marks=pytest.mark.slow),  # no validation in part 1
        ("classification", 1, {"patience": 1, "lr": 1e-12}),  # nothing gets better: most parts have nothing to do
    ],
)
def test_parts_with_the_last_snapshot_are_offline_distillation(tmp_path, packed, routes, task, every, more):
    given = snapshots(routes[task])
    technique = {"anchors": "last", "every": every, "snapshots": [str(path) for path in given]}
    train(parts(packed, task, epochs=3, training=more, **technique), tmp_path / "parts")
    offline = {"name": "kd_offline", "teacher": str(given[-1]), **WEIGHTS}
    train(recipe_for(task, offline, packed, training={"epochs": 3, **more}), tmp_path / "kd")
    assert rows(tmp_path / "parts", "main-") == rows(tmp_path / "kd", "main")
    assert exported(tmp_path / "parts", "S1") == exported(tmp_path / "kd", "S1")
    one, other = last(tmp_path / "parts", f"main-{len(range(0, 3, every))}"), last(tmp_path / "kd")
    assert all(torch.equal(one[key], other[key]) for key in other)


@TASKS
def test_given_snapshots_do_what_those_of_the_run_do(tmp_path, packed, routes, task):
    """Each part has another teacher, so neither the last snapshot alone nor another order gives the same."""
    given = [str(path) for path in snapshots(routes[task])]
    assert len(given) == 2
    ended = {}
    for name, files in {"same": given, "turned": given[::-1]}.items():
        train(parts(packed, task, snapshots=files), tmp_path / name)
        ended[name] = last(tmp_path / name, "main-2")
    own = last(routes[task], "main-2")
    assert all(torch.equal(own[key], ended["same"][key]) for key in own)
    assert not all(torch.equal(own[key], ended["turned"][key]) for key in own)
    assert exported(tmp_path / "same", "S1") == exported(routes[task], "S1")


def test_students_are_independent(tmp_path, packed, routes):
    """S1 ends as in its lone run."""
    recipe = parts(packed, snapshots=[str(path) for path in snapshots(routes["classification"])])
    pair = recipe.model_copy(update={"networks": recipe.networks.model_copy(update={"count": 2})})
    result, _ = train(pair, tmp_path)
    assert {"S1", "S2", "ensemble", "T"} <= set(result.test)
    assert exported(tmp_path, "S1") == exported(routes["classification"], "S1")


def test_a_snapshot_that_saw_the_test_images_is_refused(tmp_path, packed, routes):
    recipe = parts(packed, snapshots=[str(path) for path in snapshots(routes["classification"])])
    other = recipe.model_copy(update={"split": recipe.split.model_copy(update={"seed": 7})})
    with pytest.raises(UserError, match=r"technique.snapshots, number 1: '.*' was trained on \d+ images"):
        train(other, tmp_path)


@pytest.mark.slow
def test_one_teacher_is_in_memory_at_a_time(tmp_path, packed, monkeypatch):
    """Counted at every birth of a network, so that the old one is gone before the next is built."""
    born = weakref.WeakSet()
    alive = []

    def noting(*arguments, **options):
        network = Classifier(*arguments, **options)
        born.add(network)
        alive.append(sum(one.blueprint.spec.architecture == "resnet10t" for one in born))
        return network

    monkeypatch.setattr("preceptor.networks.build_classifier.Classifier", noting)
    gc.collect()
    train(parts(packed, epochs=3, every=1, anchors="greedy"), tmp_path)
    assert max(alive) == 1
    assert len(alive) > 10


@pytest.mark.slow
def test_the_candidates_of_a_choice_are_in_memory_one_at_a_time(tmp_path, packed, monkeypatch):
    counted = []
    real = choose.distances_from

    def counting(fabric, candidates, *more, **options):
        alive = weakref.WeakSet()

        def noting(make):
            def made():
                counted.append(len(alive))
                network = make()
                alive.add(network)
                return network

            return made

        return real(fabric, {name: noting(make) for name, make in candidates.items()}, *more, **options)

    monkeypatch.setattr(choose, "distances_from", counting)
    train(parts(packed, epochs=3, every=1, anchors="greedy"), tmp_path)
    assert counted == [0, 0, 0]


STOPS = [("teacher", 1, 2), ("main-1", 0, 1), ("main-1", 1, 4), ("main-2", 2, 0), ("main-3", 4, 1)]
"""Inside the teacher's training, inside a part, at the end of one, in the first step of the next, and in the last."""


def same_run(one, other):
    assert (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text()
    for name in ("S1", "T"):
        assert exported(one, name) == exported(other, name)


@pytest.mark.slow
@pytest.mark.parametrize("technique", [{}, {"anchors": "greedy", "restart_lr": True}], ids=["equal", "greedy"])
def test_a_run_stopped_as_often_as_it_takes_ends_with_the_same_bits(tmp_path, packed, interrupted, technique):
    recipe = parts(packed, epochs=5, training={"schedule": "step", "step_epochs": 1}, **technique)
    whole, _ = train(recipe, tmp_path / "whole")
    for stage, epoch, step in STOPS:
        interrupted(recipe, tmp_path / "stopped", epoch=epoch, step=step, stage=stage)
    resumed, _ = train(recipe, tmp_path / "stopped")
    same_run(tmp_path / "whole", tmp_path / "stopped")
    assert [note for note in whole.notes if "KL" in note] == [note for note in resumed.notes if "KL" in note]


@pytest.mark.parametrize("place", [pytest.param("make_choices", marks=pytest.mark.slow), "train_stage"])
def test_a_power_cut_between_two_parts_changes_nothing(tmp_path, packed, routes, monkeypatch, place):
    """Before the part has decided on its teacher, and after that, before its first step."""

    class PowerCutError(Exception):
        pass

    def cut(*arguments, **options):
        stage = arguments[1] if place == "train_stage" else arguments[0]
        if stage.name == "main-2":
            raise PowerCutError
        return train_stage(*arguments, **options)

    given = [str(path) for path in snapshots(routes["classification"])]
    recipe = parts(packed, epochs=3, every=1, anchors="greedy", snapshots=given)
    train(recipe, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(run if place == "train_stage" else build, place, cut)
        with pytest.raises(PowerCutError):
            train(recipe, tmp_path / "cut")
    assert (tmp_path / "cut" / "checkpoints" / "main-2").exists() == (place == "train_stage")
    train(recipe, tmp_path / "cut")
    same_run(tmp_path / "whole", tmp_path / "cut")


def test_a_choice_is_written_said_and_kept(tmp_path, packed, interrupted):
    """A resumed run takes the anchor that was decided, even where it would decide otherwise now."""
    recipe = parts(packed, epochs=3, every=1, anchors="greedy")
    interrupted(recipe, tmp_path, epoch=1, step=1, stage="main-2")
    path = tmp_path / "checkpoints" / "main-2" / "choices.json"
    made = json.loads(path.read_text())["T"]
    assert list(made["distances"]) == ["epoch 1", "epoch 2", "epoch 3"]
    assert made["chosen"] == LatestWithin(1.25).decide(made["distances"])
    path.write_text(json.dumps({"T": {**made, "chosen": "epoch 1"}}))
    result, printed = train(recipe, tmp_path)
    assert any(note.startswith("main-2: T is epoch 1; KL on the validation part") for note in result.notes)
    assert "main-2: T is epoch 1" in printed
    assert "stage main-3: T (frozen), S1; 1 epochs (of 3, after 2) of 5 steps" in printed
    assert "main-3 epoch 3/3" in printed


@TASKS
def test_distances_are_those_of_the_networks_as_they_stood(tmp_path, packed, task):
    """From the checkpoints by hand: KL at temperature 5 times 25, averaged over validation images (and pixels)."""
    recipe = parts(packed, task, epochs=3, every=1, anchors="greedy")
    train(recipe, tmp_path)
    made = json.loads((tmp_path / "checkpoints" / "main-2" / "choices.json").read_text())["T"]["distances"]
    prepared = prepare(recipe)
    cast, shop = recipe.cast(), workshop_of(recipe, prepared)
    images = torch.from_numpy(prepared.packed.images[prepared.rows["validation"]].copy()).permute(0, 3, 1, 2) / 255
    student, teacher = (shop.network(one).eval() for one in (cast.student("S1"), cast.the_teacher()))
    left = last(tmp_path, "main-1")
    student.load_state_dict({k.removeprefix("learners.S1."): v for k, v in left.items() if "learners.S1." in k})
    for path, distance in zip(snapshots(tmp_path), made.values(), strict=True):
        teacher.load_state_dict(torch.load(path, weights_only=True))
        with torch.no_grad():
            logits = [class_logits(network(images).logits.double()) for network in (teacher, student)]
        p, q = ((one / 5).softmax(1) for one in logits)
        assert distance == pytest.approx(25 * (p * (p / q).log()).sum(1).mean().item(), rel=1e-4)
