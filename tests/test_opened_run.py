"""A finished run of every kind opens: its networks, its scores again, and its last stage."""

import json

import pytest
import torch
from tests.training.phantoms import NEW, STUDENTS, TEACHERS, UNET, recipe_for, train

from preceptor.errors import UserError
from preceptor.machine.fabric import make_fabric
from preceptor.opened_run import open_run

SMALL = {"architecture": "test_resnet", **NEW}
PAIR = {"teacher": None, "student": None, "students": [SMALL, STUDENTS["classification"]]}
FEATURES = {"name": "kd_ml", "strategy": "features"}
FOLDS = {"split": {"folds": 3, "fold": 1}}
GRAFT = {"networks": {"teacher": SMALL, "student": SMALL}}

KINDS = {
    "teacher with an adapter": (FEATURES, {"networks": {"student": SMALL, "count": 2}}, {"T", "S1", "S2"}),
    "replaced head": ({"name": "kd_offline", "losses": [{"loss": "simkd"}]}, {}, {"T", "S1"}),
    "adapters of losses": ({"name": "kd_offline", "losses": [{"loss": "fitnet"}, {"loss": "crd"}]}, {}, {"T", "S1"}),
    "grafts": ({"name": "graft"}, GRAFT, {"T", "S1"}),
    "fused": ({"name": "kthf2"}, {"networks": PAIR}, {"S1", "S2", "F"}),
    "exits": ({"name": "self_distill"}, {"networks": {"student": SMALL}}, {"S1", "E1", "E2", "E3"}),
    "committee": ({"name": "multi_teacher", "folds": 2, "integration": "val_acc"}, {}, {"T", "S1"}),
    "parts": ({"name": "multi_part", "every": 1, "anchors": "greedy"}, {}, {"T", "S1"}),
    "cross-validation": ({"name": "ml"}, {"networks": {"student": SMALL, "count": 2}, **FOLDS}, {"S1", "S2"}),
    "masks": (
        {"name": "kd_online"},
        {"networks": {"teacher": TEACHERS["segmentation"], "student": UNET | {"encoder": "test_resnet"}}},
        {"T", "S1"},
    ),
}


def check(kind, tmp_path):
    technique, changes, names = KINDS[kind]
    task = "segmentation" if kind == "masks" else "classification"
    changes = {"training": {"epochs": 2 if kind == "parts" else 1}, **changes}
    result, _ = train(recipe_for(task, technique, tmp_path / "packed", **changes), tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    run = open_run(tmp_path / "run", with_test=True)
    assert (run.result, run.test, run.validation) == (result, result.test, result.validation)
    assert set(run.names) == names
    assert list(run.notes) == []
    evaluated = run.evaluate(device="cpu")
    for name, scores in evaluated.scores.items():
        assert scores == pytest.approx(result.test[name], abs=1e-12)
    assert evaluated.fidelity.keys() == result.fidelity.keys()
    prepared, fabric = run.data(), make_fabric("cpu")
    stage, cohort, batches = run.last_stage(prepared, fabric)
    saved = torch.load(run.files.last_checkpoint(stage.name), weights_only=True)["cohort"]
    assert all(torch.equal(value, saved[name]) for name, value in cohort.state_dict().items())
    assert len(batches) > 0
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_a_run_of_masks_opens(tmp_path):
    check("masks", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "masks"])
def test_every_kind_of_run_opens(kind, tmp_path):
    check(kind, tmp_path)


def test_what_is_wrong_is_said_when_it_is_asked_for(tmp_path):
    train(recipe_for("classification", {"name": "baseline"}, tmp_path, training={"epochs": 1}), tmp_path / "run")
    run = open_run(tmp_path / "run")
    with pytest.raises(UserError, match=r"no network 'T' in .*run; it has S1"):
        run.network("T")
    config = run.files.network("S1") / "config.json"
    whole = config.read_text()
    config.write_text(json.dumps({**json.loads(whole), "label_names": []}))
    with pytest.raises(UserError, match="was changed or damaged"):
        open_run(tmp_path / "run")
    config.unlink()
    run = open_run(tmp_path / "run")
    assert any("config.json is gone" in note for note in run.notes)
    with pytest.raises(UserError, match="holds no exported networks"):
        run.networks()
