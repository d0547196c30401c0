"""A technique from a user's own file is trained, audited and taken together with others, without further code."""

import json

from preceptor.training.together import train_together

from ..own_technique import OWN
from .phantoms import exported, recipe_for, train


def test_a_run_of_it_is_audited_and_trained_together_ends_as_it_does_alone(teachers, packed, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    teacher, one = str(teachers["classification"]), {"epochs": 1}
    mine = {"name": f"{tmp_path / 'own.py'}:Mine", "weight": 0.25, "teacher": teacher}
    kd = {"name": "kd_offline", "teacher": teacher}
    recipes = {
        name: recipe_for("classification", technique, packed, training=one)
        for name, technique in (("mine", mine), ("kd", kd))
    }
    result, _ = train(recipes["mine"], tmp_path / "alone")
    assert result.teacher_audit.verdict
    assert set(result.fidelity) >= {"S1"}
    train_together({tmp_path / name: recipe for name, recipe in recipes.items()}, tmp_path / "shared", device="cpu")
    assert exported(tmp_path / "mine", "S1") == exported(tmp_path / "alone", "S1")
    terms = {line.split(",")[4] for line in (tmp_path / "mine" / "metrics.csv").read_text().splitlines()}
    assert "loss:T->S1/kd" in terms
    assert json.loads((tmp_path / "mine" / "result.json").read_text())["technique"] == mine["name"]
