"""A trained teacher that a recipe names is not trained over."""

import pytest
from safetensors.torch import load_file, save_file

from preceptor.data.prepare import prepare
from preceptor.errors import UserError
from preceptor.networks.build import build_network
from preceptor.training.same_data import SeenImages, write_pixel_keys

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
    assert any("as it is, frozen" in note for note in result.notes)


def test_it_is_trained_further_only_where_the_recipe_says_how(tmp_path, packed, teachers):
    given = teachers["classification"]
    recipe = taught(packed, "classification", given, teacher_training={"epochs": 1})
    _, said = train(recipe, tmp_path / "run")
    assert exported(tmp_path / "run", "T") != exported(given, "T")
    assert "because teacher_training says how" in said


def untrained(folder, packed, task):
    """A run folder whose teacher has random weights; nothing was trained."""
    recipe = recipe_for(task, {"name": "baseline", "network": "teacher"}, packed)
    prepared = prepare(recipe)
    spec = recipe.networks.teacher
    packed_set = prepared.packed
    network = build_network(spec, task=task, classes=packed_set.classes, image_size=packed_set.size, seed=1)
    network.save(folder / "networks" / "T")
    (folder / "recipe.yaml").write_text(recipe.to_yaml())
    (folder / "split.csv").write_text(prepared.split_csv())
    write_pixel_keys(folder, prepared, SeenImages())
    return folder


@pytest.mark.parametrize("task", TEACHERS)
def test_a_teacher_at_chance_is_told_before_it_teaches(tmp_path, packed, task):
    given = untrained(tmp_path / "teacher", packed, task)
    technique = {"name": "kd_offline", "teacher": str(given)}
    result, said = train(recipe_for(task, technique, packed, training={"epochs": 1}), tmp_path / "run")
    against = next(place for place, line in enumerate(said.splitlines()) if "better than always answering" in line)
    begins = next(place for place, line in enumerate(said.splitlines()) if line.startswith("stage main"))
    assert against < begins
    assert any("better than always answering" in note for note in result.notes)
    audit = result.teacher_audit
    assert not audit.constant_answer.beaten
    assert "better than always answering" in audit.verdict
    assert "not audited" in audit.verdict


def test_a_teacher_that_the_run_trains_is_told_as_soon_as_it_is_trained(tmp_path, packed):
    recipe = recipe_for("classification", {"name": "kd_offline"}, packed, training={"epochs": 1, "lr": 1e-9})
    _, said = train(recipe, tmp_path / "run")
    places = [said.index(words) for words in ("stage teacher:", "always answering", "stage main:")]
    assert places == sorted(places)


def test_a_teacher_whose_answers_are_no_numbers_is_refused(tmp_path, packed):
    given = untrained(tmp_path / "teacher", packed, "classification")
    state = load_file(given / "networks" / "T" / "model.safetensors")
    weights = tmp_path / "lone.safetensors"
    save_file({name: t * 1e30 if t.is_floating_point() else t for name, t in state.items()}, weights)
    recipe = recipe_for("classification", {"name": "kd_offline", "teacher": str(weights)}, packed)
    with pytest.raises(UserError, match=r"not finite|in a way of its own"):
        train(recipe, tmp_path / "run")


@pytest.mark.parametrize("text", ["[1, 2]", "{bad", '{"validation": [1]}', '{"status": "complete"}'])
def test_a_damaged_result_of_the_student_alone_is_refused(tmp_path, packed, text):
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "result.json").write_text(text)
    technique = {"name": "kd_offline", "student_alone": str(tmp_path / "alone")}
    with pytest.raises(UserError, match=r"result\.json: (is|holds)"):
        train(recipe_for("classification", technique, packed), tmp_path / "run")
