"""The same training from three sides: a run, a cohort of one's own modules, and a loop of one's own."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import preceptor as pc
from preceptor.randomness import key
from preceptor.recipe import parse_recipe
from preceptor.training import run as training_run

from ..own_things import NETWORK
from .nets import stands

STEPS = 20
HINT = "T->S1/fitnet@late"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """``mynet.py:MyNet`` of the documentation, as a file and as a class."""
    path = tmp_path / "mynet.py"
    path.write_text(NETWORK)
    names = {"__name__": "mynet"}
    exec(NETWORK, names)
    return f"{path}:MyNet", names["MyNet"]


@pytest.fixture
def run(mine, tmp_path, monkeypatch):
    """What a run started from, its batches as its modules saw them, and its loss terms step by step."""
    seen = {"steps": []}

    def noting(fabric, stage, cohort, *more, **options):
        if stage.name == "main":
            seen["weights"] = {name: deepcopy(net.module.state_dict()) for name, net in cohort.networks.items()}
            seen["task_weights"] = dict(cohort.task_weights)
            seen["transfers"] = cohort.transfers

            def note(module, inputs, terms):
                batch = inputs[0]
                images = module.networks["S1"].prepare(batch.images)
                seen["steps"].append((images, batch.targets, {name: value.item() for name, value in terms.items()}))

            cohort.register_forward_hook(note)
        return fit(fabric, stage, cohort, *more, **options)

    fit = training_run.train_stage
    monkeypatch.setattr(training_run, "train_stage", noting)
    network = {"architecture": mine[0], "taps": ["early", "late"], "weights": "none"}
    still = dict.fromkeys(("flip_horizontal", "flip_vertical", "transpose"), False)
    recipe = parse_recipe(
        {
            "task": "classification",
            "data": {
                "source": "phantom",
                "options": {"images": 48, "size": 32, "classes": 3, "patients": 8},
                "image_size": 32,
            },
            "augment": still,
            "networks": {
                "teacher": {**network, "options": {"width": 8}},
                "student": {**network, "options": {"width": 4}},
                "count": 1,
            },
            "technique": {
                "name": "kd_offline",
                "losses": [
                    {"loss": "kd", "weight": 0.9, "options": {"temperature": 4.0}},
                    {"loss": "fitnet", "weight": 0.1, "student_tap": "late"},
                ],
            },
            "training": {"epochs": 4, "batch_size": 8, "optimizer": "adamw", "lr": 1e-3, "threads": 1},
            "teacher_training": {"epochs": 1},
        }
    )
    torch.set_num_threads(2)  # the recipe wants one
    before = stands()
    pc.train(recipe, tmp_path / "run", device="cpu", quiet=True)
    assert stands() == before
    torch.set_num_threads(1)
    assert len(seen["steps"]) >= STEPS
    return seen


def networks(run, mine):
    """Teacher and student as they were."""
    teacher, student = mine(3, 8), mine(3, 4)
    teacher.load_state_dict(run["weights"]["T"])
    student.load_state_dict(run["weights"]["S1"])
    return teacher, student


def totals(run):
    """The total loss of each of the first steps."""
    return torch.tensor([sum(terms.values()) for _, _, terms in run["steps"][:STEPS]])


def test_a_run_a_cohort_and_a_loop_train_the_same(run, mine):
    task_weight = run["task_weights"].get("S1", 1.0)
    expected = totals(run)
    assert HINT in run["steps"][0][2]

    teacher, student = networks(run, mine[1])
    cohort = pc.Cohort(
        {"T": pc.frozen(teacher), "S1": student},
        [pc.teach("T", "S1", pc.SoftTarget(4), weight=0.9), pc.teach("T", "S1", pc.FitNet(), weight=0.1, tap="late")],
        task_loss=nn.CrossEntropyLoss(),
        task_weights={"S1": task_weight},
        probe=run["steps"][0][0],
        seed=0,
    )
    optimizer = torch.optim.AdamW(cohort.parameters(), lr=1e-3, weight_decay=0.0)
    found = []
    for images, targets, _ in run["steps"][:STEPS]:
        loss = sum(cohort(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    torch.testing.assert_close(torch.tensor(found), expected, rtol=0, atol=1e-6)

    teacher, student = networks(run, mine[1])
    teacher.eval()
    torch.manual_seed(key(0, "adapter", HINT))
    kd, hint = pc.SoftTarget(temperature=4), pc.FitNet().build(student=(8, 8, 8), teacher=(16, 8, 8))
    optimizer = torch.optim.AdamW([*student.parameters(), *hint.parameters()], lr=1e-3, weight_decay=0.0)
    found = []
    with pc.taps(teacher, ["late"]) as t, pc.taps(student, ["late"]) as s:
        for images, y, _ in run["steps"][:STEPS]:
            with torch.no_grad():
                zt = teacher(images)
            loss = task_weight * F.cross_entropy(zs := student(images), y)
            loss = loss + 0.9 * kd(zs, zt) + 0.1 * hint(s["late"], t["late"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
    torch.testing.assert_close(torch.tensor(found), expected, rtol=0, atol=1e-6)
