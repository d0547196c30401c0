"""Every knowledge loss of the catalogue in the real loop: what moves, what stays, what resumes."""

import pandas as pd
import pytest
import timm
import torch
from safetensors.torch import load_file

from preceptor.composed import load_network
from preceptor.knowledge import catalogue
from preceptor.opened_run import open_run

from .phantoms import NEW, exported, last, recipe_for, train

CASES = [(key, task) for key, entry in catalogue.losses().items() for task in entry.settings]
CASES += [("skd holistic", "segmentation")]
OPTIONS = {
    "crd": {"negatives": 64, "width": 16},
    "semckd": {"widest": 16},
    "reviewkd": {"widest": 16},
    "skd holistic": {"holistic": True},
}
"""Options that keep the tests quick, or that bring another part of a loss."""

RESUMED_FAST = [("crd", "classification"), ("semckd", "classification"), ("seg_kd", "segmentation")]
"""With a memory and random numbers, with whole batches, with neither; the others resume among the slow tests."""

AS_WIDE = {"architecture": "resnet10t", "options": {"drop_rate": 0.1}, **NEW}
"""A student for losses on features without an adapter: as wide as the teacher."""

WANTS_WIDTH = [("feature_mse", "classification"), ("exit_features", "classification")]
HAS_OWN_HEAD = [("simkd", "classification")]


def groups():
    """(task, names) of losses that one run takes together: its adapters are told apart by the loss's name."""
    apart = [[case] for case in HAS_OWN_HEAD] + [WANTS_WIDTH]
    for task in ("classification", "segmentation"):
        plain = [case for case in CASES if case[1] == task and not any(case in group for group in apart)]
        count = -(-len(plain) // 5)
        apart += [plain[first::count] for first in range(count)]  # neighbours, which may be one loss, in other groups
    return [(group[0][1], tuple(name for name, _ in group)) for group in apart]


@pytest.fixture
def distil(teachers, packed):
    """Makes the recipe of an offline distillation with some losses."""

    def make(task, *losses, **changes):
        technique = {"name": "kd_offline", "losses": losses, "teacher": str(teachers[task])}
        return recipe_for(task, technique, packed, **changes)

    return make


def one_loss(distil, name, task, *, as_wide=AS_WIDE, **changes):
    return losses_together(distil, (name,), task, as_wide=as_wide, **changes)


def losses_together(distil, names, task, *, as_wide=AS_WIDE, **changes):
    losses = [{"loss": name.split()[0], "options": OPTIONS.get(name, {})} for name in names]
    for loss in losses:
        if loss["loss"] == "token_kl":  # wants a map of several positions
            loss |= {"student_tap": "stage2", "teacher_tap": "stage2"}
    changes |= {"networks": {"student": as_wide}} if (names[0], task) in WANTS_WIDTH else {}
    return distil(task, *losses, **changes)


def unmoved(start, end):
    return [name for name, value in start.items() if torch.equal(value, end[name])]


def test_every_loss_is_in_one_group():
    found = [(name, task) for task, names in groups() for name in names]
    assert sorted(found) == sorted(CASES)
    assert all(len({name.split()[0] for name in names}) == len(names) for _, names in groups())


@pytest.mark.parametrize(
    ("task", "names"),
    [*groups(), *(pytest.param(task, (name,), marks=pytest.mark.slow) for name, task in CASES)],
    ids=str,
)
def test_student_and_adapters_move_while_the_teacher_stays(tmp_path, distil, teachers, starts, task, names):
    train(losses_together(distil, names, task), tmp_path)

    found = {term.partition("@")[0] for term in terms(tmp_path)}
    assert found - {"S1/task"} == {f"T->S1/{name.split()[0]}" for name in names}
    start = starts["main"]
    assert any(entry.startswith("learners.S1.") for entry in start)
    assert not unmoved(start, last(tmp_path))
    assert exported(tmp_path, "T") == exported(teachers[task], "T")


def of_speed(name, task):
    return pytest.param(name, task, marks=[] if (name, task) in RESUMED_FAST else [pytest.mark.slow])


@pytest.mark.parametrize(("name", "task"), [of_speed(*case) for case in CASES])
def test_a_stopped_run_ends_with_the_same_bits(tmp_path, distil, interrupted, name, task):
    recipe = one_loss(distil, name, task)
    train(recipe, tmp_path / "straight")
    interrupted(recipe, tmp_path / "parted", epoch=1, step=0)
    train(recipe, tmp_path / "parted")

    straight, parted = last(tmp_path / "straight"), last(tmp_path / "parted")
    assert straight.keys() == parted.keys()
    assert not [entry for entry in straight if not torch.equal(straight[entry], parted[entry])]
    assert exported(tmp_path / "straight", "S1") == exported(tmp_path / "parted", "S1")
    assert (tmp_path / "straight" / "metrics.csv").read_bytes() == (tmp_path / "parted" / "metrics.csv").read_bytes()


def test_adapters_start_alike_in_every_run(tmp_path, distil, starts):
    """Whatever torch's global generator did before."""
    recipe = distil("classification", {"loss": "fitnet"}, training={"epochs": 1})
    found = []
    for number in range(2):
        torch.rand(number)
        train(recipe, tmp_path / str(number))
        found.append(dict(starts["main"]))
    assert any(entry.startswith("losses.") for entry in found[0])
    assert all(torch.equal(found[0][entry], found[1][entry]) for entry in found[0])


def terms(folder):
    """Names of the loss terms of a run."""
    metrics = pd.read_csv(folder / "metrics.csv")["metric"]
    return set(metrics[metrics.str.startswith("loss:")].str.removeprefix("loss:"))


PEERS = {
    "classification": ["fitnet", "rkd", "srrl", "dist"],
    "segmentation": ["cwd", "fdwa_dkd", "emkd", "skd"],
}


@pytest.mark.parametrize("task", PEERS)
def test_losses_between_peers_leave_the_giver_as_it_is_alone(tmp_path, packed, starts, task):
    """Four losses on one edge S1->S2: S2 and all adapters move, S1 ends as without S2."""
    edges = [{"source": "S1", "target": "S2", "loss": key} for key in PEERS[task]]
    pair = {"networks": {"count": 2}, "training": {"epochs": 1}}
    train(recipe_for(task, {"name": "graph", "edges": edges}, packed, **pair), tmp_path / "peers")
    start = starts["main"]
    train(recipe_for(task, {"name": "baseline"}, packed, **pair), tmp_path / "alone")

    assert terms(tmp_path / "peers") == {"S1/task", "S2/task", *(f"S1->S2/{key}" for key in PEERS[task])}
    assert not unmoved(start, last(tmp_path / "peers"))
    assert exported(tmp_path / "peers", "S1") == exported(tmp_path / "alone", "S1")
    assert exported(tmp_path / "peers", "S2") != exported(tmp_path / "alone", "S2")


def test_a_vision_transformer_teaches_a_cnn(tmp_path, packed, starts):
    losses = [{"loss": key} for key in ("at", "fitnet", "ofa", "reviewkd", "srrl")]
    networks = {"teacher": {"architecture": "vit_tiny_patch16_224", "options": {"img_size": 32, "depth": 4}, **NEW}}
    technique = {"name": "kd_offline", "losses": losses}
    train(recipe_for("classification", technique, packed, networks=networks, training={"epochs": 1}), tmp_path)

    teacher = tmp_path / "checkpoints" / "teacher" / "T.best.ckpt"
    chosen = torch.load(teacher, weights_only=True)
    final = load_file(tmp_path / "networks" / "T" / "model.safetensors")
    assert all(torch.equal(chosen[f"model.{entry}"], value) for entry, value in final.items())
    assert terms(tmp_path) == {"T/task", "S1/task", *(f"T->S1/{loss['loss']}" for loss in losses)}
    assert not unmoved(starts["main"], last(tmp_path))


@pytest.mark.parametrize("name", ["fitnet", "ofa", "crd"])
def test_adapters_are_not_exported(tmp_path, distil, name):
    train(one_loss(distil, name, "classification"), tmp_path)
    plain = timm.create_model("mobilenetv3_small_050", num_classes=3).state_dict()
    assert load_file(tmp_path / "networks" / "S1" / "model.safetensors").keys() == plain.keys()


def test_simkd_exports_projector_and_classifier(tmp_path, distil, teachers):
    """The student answers through the teacher's classifier, and all that it needs is counted."""
    recipe = distil("classification", {"loss": "simkd"})
    result, _ = train(recipe, tmp_path)
    student, teacher = (
        load_network(tmp_path / "networks" / "S1"),
        load_network(teachers["classification"] / "networks/T"),
    )
    (classifier,) = [module for module in student.head if isinstance(module, torch.nn.Linear)]
    assert torch.equal(classifier.weight, teacher.classifier.weight)
    assert sum(isinstance(module, torch.nn.Conv2d) for module in student.head) == 3

    saved = load_file(tmp_path / "networks" / "S1" / "model.safetensors")
    parameters = [entry for entry, _ in student.named_parameters()]
    plain = timm.create_model("mobilenetv3_small_050", num_classes=0)
    assert sum(entry.startswith("head.") for entry in parameters) == 3 + 2 * 3 + 2
    assert result.parameters["S1"] == sum(saved[entry].numel() for entry in parameters)
    assert {entry for entry in saved if entry.startswith("model.")} <= {
        f"model.{entry}" for entry in plain.state_dict()
    }

    assert open_run(tmp_path).evaluate().scores == result.test
    images = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        outputs = student(images)
        assert torch.equal(outputs.logits, student.head(outputs.maps["last"]))


@pytest.fixture
def hinted(teachers, packed):
    """FitNet's two stages: one epoch of the hint, two of soft targets."""
    hint = {"hint": {"loss": "fitnet"}, "hint_epochs": 1}
    technique = {"name": "kd_offline", "teacher": str(teachers["classification"]), **hint}
    return recipe_for("classification", technique, packed)


def test_a_hint_trains_the_student_up_to_it_and_distillation_goes_on_from_there(tmp_path, hinted, teachers, starts):
    train(hinted, tmp_path)
    stages = pd.read_csv(tmp_path / "metrics.csv").groupby("stage")["metric"].unique()
    assert {term for term in stages["hint"] if term.startswith("loss:")} == {"loss:T->S1/fitnet"}
    assert {term for term in stages["main"] if term.startswith("loss:")} == {"loss:S1/task", "loss:T->S1/kd"}

    after_hint = last(tmp_path, "hint")
    kept = unmoved(starts["hint"], after_hint)
    assert "learners.S1.model.conv_stem.weight" not in kept
    assert "learners.S1.model.classifier.weight" in kept
    assert not [name for name in kept if name.startswith("losses.")]
    assert unmoved(starts["main"], after_hint) == list(starts["main"])
    assert not unmoved(starts["main"], last(tmp_path))
    assert exported(tmp_path, "T") == exported(teachers["classification"], "T")


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "epoch"), [("hint", 0), ("main", 1)])
def test_a_run_with_a_hint_resumes(tmp_path, hinted, interrupted, stage, epoch):
    train(hinted, tmp_path / "straight")
    interrupted(hinted, tmp_path / "parted", stage=stage, epoch=epoch, step=1)
    train(hinted, tmp_path / "parted")
    assert exported(tmp_path / "straight", "S1") == exported(tmp_path / "parted", "S1")
    assert (tmp_path / "straight" / "metrics.csv").read_bytes() == (tmp_path / "parted" / "metrics.csv").read_bytes()
