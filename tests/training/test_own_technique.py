"""A technique from a user's own file is trained, audited and taken together with others, without further code."""

import json

import pytest

from preceptor.errors import UserError
from preceptor.training.together import train_together

from ..command import preceptor
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


def test_its_teacher_may_not_know_images_that_are_tested_here(teachers, packed, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    mine = {"name": f"{tmp_path / 'own.py'}:Mine", "teacher": str(teachers["classification"])}
    recipe = recipe_for("classification", mine, packed, split={"seed": 7})
    with pytest.raises(UserError, match=r"technique\.teacher: .* was trained on \d+ images that are validation"):
        train(recipe, tmp_path / "leaks")


def test_preceptor_plan_shows_it(teachers, packed, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    mine = {"name": f"{tmp_path / 'own.py'}:Mine", "teacher": str(teachers["classification"])}
    (tmp_path / "mine.yaml").write_text(recipe_for("classification", mine, packed).to_yaml())
    answer = preceptor("plan", str(tmp_path / "mine.yaml"))
    assert answer.code == 0, answer.error
    assert "loss: task + 0.5 · kd(T, temperature 3)" in answer.out
    assert f"technique.teacher: {teachers['classification']}: " in answer.out
