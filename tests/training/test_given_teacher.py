"""A trained teacher that a recipe names is not trained over."""

import pytest

from .phantoms import TEACHERS, exported, recipe_for, train


def taught(packed, task, given, **changes):
    """Students of a teacher whose weights the networks' own part gives."""
    networks = {"teacher": {**TEACHERS[task], "weights": str(given / "networks" / "T")}}
    return recipe_for(task, {"name": "kd_offline"}, packed, networks=networks, training={"epochs": 1}, **changes)


@pytest.mark.parametrize("task", TEACHERS)
def test_a_given_teacher_leaves_the_run_as_it_came(tmp_path, packed, teachers, task):
    given = teachers[task]
    result, said = train(taught(packed, task, given), tmp_path / "run")
    assert exported(tmp_path / "run", "T") == exported(given, "T")
    assert not (tmp_path / "run" / "checkpoints" / "teacher").exists()
    assert f"T is {str(given / 'networks' / 'T')!r} as it is, frozen" in said
    assert any("as it is, frozen" in note for note in result["notes"])


def test_it_is_trained_further_only_where_the_recipe_says_how(tmp_path, packed, teachers):
    given = teachers["classification"]
    recipe = taught(packed, "classification", given, teacher_training={"epochs": 1})
    _, said = train(recipe, tmp_path / "run")
    assert exported(tmp_path / "run", "T") != exported(given, "T")
    assert "because teacher_training says how" in said
