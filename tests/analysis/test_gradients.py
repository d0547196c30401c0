"""Gradients worked out by hand for linear networks, and of real runs of several kinds."""

import json

import pytest
import torch
from tests.training.phantoms import recipe_for, train
from torch import nn

from preceptor.analysis import analyse
from preceptor.analysis.gradients import divided, norms_and_cosines, pulls, words
from preceptor.cohort.cohort import Cohort, DataFacts
from preceptor.cohort.transfer import Transfer
from preceptor.data.batches import Batches
from preceptor.data.prepare import prepare
from preceptor.knowledge.logits.soft_target import SoftTargetLoss
from preceptor.machine.fabric import make_fabric
from preceptor.networks.blueprint import Blueprint
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs
from preceptor.opened_run import open_run
from preceptor.plan.network import NetworkUse
from preceptor.plan.stage import Member, Stage
from preceptor.specs import NetworkSpec


def test_two_terms_of_one_linear_layer_by_hand():
    """f = w·x: the gradient of 3 (f - y) at w is 3x, that of v·w is v; a third term does not reach it."""
    w = torch.tensor([1.0, 1.0], requires_grad=True)
    other = torch.tensor([2.0], requires_grad=True)
    x, v = torch.tensor([3.0, 4.0]), torch.tensor([4.0, 3.0])
    terms = {"T->S/kd": (v * w).sum(), "S/task": 3 * ((w * x).sum() - 1.0), "P/task": other.square().sum()}
    found = norms_and_cosines(terms, {"S": [w], "P": [other]})
    assert found["S"]["S/task"] == pytest.approx((15.0, 1.0))
    assert found["S"]["T->S/kd"] == pytest.approx((5.0, 24 / 25))
    assert set(found["S"]) == {"S/task", "T->S/kd"}
    assert found["P"] == {"P/task": pytest.approx((4.0, 1.0))}
    assert w.grad is None


class Linear(Network):
    """Logits that are linear in the mean of the image's channels."""

    def __init__(self, weight):
        spec = NetworkSpec(architecture="linear")
        super().__init__(Blueprint(spec=spec, task="classification", classes=("a", "b", "c"), image_size=(8, 8)))
        self.head = nn.Linear(3, len(weight), bias=False)
        self.head.weight.data = torch.tensor(weight)
        self.measure_shapes()

    def forward(self, images):
        embedding = images.mean(dim=(2, 3))
        return Outputs(logits=self.head(embedding), embedding=embedding, maps={})

    def save(self, folder):
        raise AssertionError("not exported")


def test_shares_of_distillation_into_a_linear_student_by_hand(tmp_path):
    """d/dW of cross-entropy is Σ (p - y) xᵀ / N, that of soft targets at temperature T is T Σ (p_s - p_t) xᵀ / N."""
    recipe = recipe_for("classification", {"name": "baseline"}, tmp_path)
    prepared = prepare(recipe)
    batches = Batches(prepared.packed, prepared.rows["train"][:16], batch_size=8)
    student = Linear([[0.0, 0.0, 0.0], [1.0, 0.0, -1.0], [0.0, 2.0, 0.0]])
    teacher = Linear([[3.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-2.0, 0.0, 0.5]])
    teacher.freeze()
    edge = Transfer(source="T", target="S", loss=SoftTargetLoss(temperature=2.0), weight=0.5)
    cohort = Cohort(
        task="classification",
        networks={"T": teacher, "S": student},
        transfers=[edge],
        task_loss=nn.CrossEntropyLoss(),
        task_weights={"S": 0.25},
        facts=DataFacts(classes=3, batch_size=8),
    )
    members = {name: Member(network=NetworkUse(name=name, spec=None), trains=name == "S") for name in ("S", "T")}
    stage = Stage(name="main", members=members, training=recipe.training)
    found = pulls(cohort, batches, stage, seed=0, count=2)
    assert set(found) == {"S"}

    norms = {"S/task": [], edge.name: []}
    cosines = []
    for batch in batches.epoch(0):
        x = batch.images.mean(dim=(2, 3)).double()
        z_s, z_t = x @ student.head.weight.double().T, x @ teacher.head.weight.double().T
        task = 0.25 * (z_s.softmax(1) - torch.eye(3)[batch.targets]).T @ x / 8
        kd = 0.5 * 2.0 * ((z_s / 2).softmax(1) - (z_t / 2).softmax(1)).T @ x / 8
        norms["S/task"].append(task.norm().item())
        norms[edge.name].append(kd.norm().item())
        cosines.append(((task * kd).sum() / (task.norm() * kd.norm())).item())
    means = {term: sum(values) / 2 for term, values in norms.items()}
    for term, mean in means.items():
        assert found["S"][term].norm == pytest.approx(mean, rel=1e-5)
        assert found["S"][term].share == pytest.approx(mean / sum(means.values()), rel=1e-5)
    assert found["S"][edge.name].cosine == pytest.approx(sum(cosines) / 2, rel=1e-5)


@pytest.mark.parametrize(
    ("technique", "learners", "left_out"),
    [
        ({"name": "kd_ml", "strategy": "diverse"}, {"S1", "S2"}, {"T": "learns from T/task alone"}),
        ({"name": "kd_online", "teacher_learns": 1.0}, {"T", "S1", "S2"}, {}),
        ({"name": "ml", "sequential": True}, {"S1", "S2"}, {}),
        ({"name": "baseline"}, set(), {"S1": "learns from S1/task alone", "S2": "learns from S2/task alone"}),
    ],
    ids=lambda one: one.get("name") if isinstance(one, dict) else None,
)
def test_of_runs(technique, learners, left_out, tmp_path):
    recipe = recipe_for("classification", technique, tmp_path / "packed", networks={"count": 2}, training={"epochs": 1})
    train(recipe, tmp_path / "run")
    stage, cohort, batches = open_run(tmp_path / "run").last_stage(prepare(recipe), make_fabric("cpu"))
    shown, why = divided(pulls(cohort, batches, stage, 0, count=1), cohort, ["S1", "S2"])
    assert set(shown) == learners
    assert why == left_out
    for name, terms in shown.items():
        assert f"{name}/task" in terms
        assert all(f"->{name}/" in term or term == f"{name}/task" for term in terms)
        assert sum(one.share for one in terms.values()) == pytest.approx(1.0)
        assert all(one.norm > 0 and -1 <= one.cosine <= 1 for one in terms.values())


def test_an_analysis_shows_it_and_leaves_the_run_as_it_was(tmp_path):
    run = tmp_path / "run"
    train(recipe_for("classification", {"name": "kd_offline"}, tmp_path / "packed", training={"epochs": 1}), run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    entries = analyse(run, most=1, device="cpu")
    assert {path: path.read_bytes() for path in before} == before
    (shown,) = (entry for entry in entries if entry["file"] == "gradients.png")
    assert "T: frozen in the last stage" in shown["caption"]
    written = json.loads((run / "analysis" / "gradients.json").read_text())
    assert set(written["networks"]) == {"S1"}
    assert set(written["left_out"]) == {"T"}
    assert set(written["networks"]["S1"]["S1/task"]) == {"norm", "share", "cosine"}


def test_a_run_without_its_checkpoint_says_so(tmp_path):
    run = tmp_path / "run"
    train(
        recipe_for(
            "classification", {"name": "ml"}, tmp_path / "packed", networks={"count": 2}, training={"epochs": 1}
        ),
        run,
    )
    (run / "checkpoints" / "main" / "last.ckpt").unlink()
    analyse(run, most=1, device="cpu")
    left_out = json.loads((run / "analysis" / "gradients.json").read_text())["left_out"]
    assert "last.ckpt is not there" in left_out["S1"]


def test_weights_are_the_last_ones(tmp_path):
    run = tmp_path / "run"
    recipe = recipe_for("classification", {"name": "ml"}, tmp_path / "packed", networks={"count": 2})
    train(recipe, run)
    stage, cohort, _ = open_run(run).last_stage(prepare(recipe), make_fabric("cpu"))
    saved = torch.load(run / "checkpoints" / "main" / "last.ckpt", weights_only=True)["cohort"]
    now = cohort.state_dict()
    assert stage.name == "main"
    assert all(torch.equal(now[name], value) for name, value in saved.items())
    assert set(now) == set(saved)


def test_terms_are_said_as_the_network_feels_them():
    assert words("S1", "S1/task") == "own task"
    assert words("S1", "T->S1/kd@stage4") == "from T: kd@stage4"
    assert words("T", "T->S1/kd") == "T→S1/kd"
