"""Teachers that the recipe's networks come with: taken as they are, trained first, or trained further."""

import pytest
import timm
import torch

from preceptor.cohort.instantiate import Workshop
from preceptor.errors import UserError
from preceptor.networks.build import build_network
from preceptor.recipe import parse_recipe
from preceptor.specs import NetworkSpec
from preceptor.training.planning import settled_plan

SMALL = {"architecture": "test_resnet", "weights": "none"}
CLASSES = ("benign", "tumour")
ONE_TEACHER = {
    "kd_offline": {"name": "kd_offline"},
    "hint": {"name": "kd_offline", "hint": {"loss": "fitnet"}},
    "tskd": {"name": "self_distill", "method": "tskd"},
    "dynamic_kd": {"name": "dynamic_kd"},
    "graft": {"name": "graft"},
    "multi_part": {"name": "multi_part", "anchors": "last"},
    "multi_teacher": {"name": "multi_teacher"},
}


def saved(folder, classes=CLASSES, adapter=None):
    spec = NetworkSpec.model_validate(SMALL)
    network = build_network(spec, task="classification", classes=classes, image_size=(32, 32), seed=7, adapter=adapter)
    network.save(folder)
    return folder


def plain(path, classes):
    """Weights alone, as other tools leave them: nothing names their classes."""
    torch.save(timm.create_model("test_resnet", num_classes=classes).state_dict(), path)
    return path


def plan(technique, teacher, classes=CLASSES, **changes):
    networks = {"student": SMALL, "count": 1}
    networks |= {"teachers": teacher} if isinstance(teacher, list) else {"teacher": teacher}
    raw = {
        "task": "classification",
        "data": {"source": "phantom", "image_size": 32},
        "networks": networks,
        "technique": technique,
        "training": {"epochs": 6},
        **changes,
    }
    recipe = parse_recipe(raw)
    shop = Workshop(task=recipe.task, classes=classes, image_size=(32, 32), seed=recipe.seed)
    return settled_plan(recipe, shop)


def trained_alone(found):
    """The teachers that have a stage of their own."""
    return [stage.learners[0] for stage in found.stages if len(stage.learners) == 1 and stage.learners[0][0] == "T"]


@pytest.mark.parametrize("technique", ONE_TEACHER.values(), ids=ONE_TEACHER)
@pytest.mark.parametrize("how", ["weights", "architecture"])
def test_a_trained_teacher_is_taken_as_it_is(tmp_path, technique, how):
    folder = saved(tmp_path / "mine")
    given = {**SMALL, "weights": str(folder)} if how == "weights" else {"architecture": f"local-dir:{folder}"}
    found = plan(technique, given)
    assert trained_alone(found) == []
    name = "T1" if technique["name"] == "multi_teacher" else "T"
    for stage in found.stages:
        assert stage.members[name].starts == ()
        assert stage.members[name].trains == (technique["name"] == "dynamic_kd")
    words = "trained further, as dynamic_kd does" if technique["name"] == "dynamic_kd" else "as it is, frozen"
    assert any(note.startswith(f"{name} ") and words in note for note in found.notes)


@pytest.mark.parametrize("technique", ONE_TEACHER.values(), ids=ONE_TEACHER)
def test_it_is_trained_further_where_the_recipe_says_how(tmp_path, technique):
    given = {**SMALL, "weights": str(saved(tmp_path / "mine"))}
    found = plan(technique, given, teacher_training={"epochs": 3})
    assert len(trained_alone(found)) == 1
    assert found.stages[0].training.epochs == 3
    assert any("trained further first, because teacher_training says how" in note for note in found.notes)


@pytest.mark.parametrize("technique", ONE_TEACHER.values(), ids=ONE_TEACHER)
def test_a_new_head_is_trained_first(technique):
    assert len(trained_alone(plan(technique, SMALL))) == 1


def test_weights_without_a_head_for_these_classes_are_trained_first_which_is_said(tmp_path):
    given = {**SMALL, "weights": str(plain(tmp_path / "mine.pth", classes=1000))}
    found = plan({"name": "kd_offline"}, given)
    assert trained_alone(found) == ["T"]
    assert any("has no head for these classes" in note for note in found.notes)


def test_an_adapter_that_plain_weights_lack_is_trained_first(tmp_path):
    features = {"name": "kd_offline", "strategy": "features", "adapter": "always"}
    mine = {**SMALL, "weights": str(plain(tmp_path / "mine.pth", classes=2))}
    assert trained_alone(plan({"name": "kd_offline"}, mine)) == []
    found = plan(features, mine)
    assert trained_alone(found) == ["T"]
    assert "or not the adapter that this run wants" in found.notes[-1]
    held = {**SMALL, "weights": str(saved(tmp_path / "held", adapter=96))}
    assert trained_alone(plan(features, held)) == []
    with pytest.raises(UserError, match="hold no teacher-side adapter"):
        plan(features, {**SMALL, "weights": str(saved(tmp_path / "other"))})


def test_of_several_teachers_only_those_without_a_head_are_trained(tmp_path):
    given = {**SMALL, "weights": str(saved(tmp_path / "mine"))}
    found = plan({"name": "multi_teacher"}, [given, SMALL])
    assert trained_alone(found) == ["T2"]
    members = found.stages[-1].members
    assert (members["T1"].start, members["T2"].start.stage) == (None, "teacher2")


def test_folds_are_for_teachers_that_are_trained(tmp_path):
    given = {**SMALL, "weights": str(saved(tmp_path / "mine"))}
    with pytest.raises(UserError, match=r"technique\.folds: 3 teachers are to be trained.*taken as they are"):
        plan({"name": "multi_teacher", "folds": 3}, given)
    assert trained_alone(plan({"name": "multi_teacher", "folds": 2}, given, teacher_training={"epochs": 1})) == [
        "T1",
        "T2",
    ]


def test_parts_want_snapshots_which_a_trained_teacher_has_not(tmp_path):
    given = {**SMALL, "weights": str(saved(tmp_path / "mine"))}
    with pytest.raises(UserError, match=r"there are 1 snapshots(?s:.)*one snapshot unless teacher_training is set"):
        plan({"name": "multi_part", "every": 2}, given)
    with pytest.raises(UserError, match=r"teacher_every: networks\.teacher has trained weights"):
        plan({"name": "multi_part", "anchors": "last", "teacher_every": 2}, given)


def test_few_shots_are_enough_beside_a_trained_teacher(tmp_path):
    given = {**SMALL, "weights": str(saved(tmp_path / "mine"))}
    for technique in ({"name": "kd_offline"}, {"name": "graft"}, {"name": "multi_teacher"}):
        assert trained_alone(plan(technique, given, split={"shots": 2})) == []
        with pytest.raises(UserError, match="these few images too"):
            plan(technique, SMALL, split={"shots": 2})


@pytest.mark.parametrize("name", ["kd_online", "kd_ml", "graph"])
def test_a_teacher_that_trains_along_goes_on_from_its_weights_which_is_said(tmp_path, name):
    given = {**SMALL, "weights": str(saved(tmp_path / "mine"))}
    edges = {"edges": [{"source": "T", "target": "S1", "loss": "kd"}]} if name == "graph" else {}
    raw = {"student": SMALL, "count": 2, "teacher": given}
    found = plan({"name": name, **edges}, given, networks=raw)
    assert f"trained further, as {name} does" in found.notes[-1]


def test_technique_teacher_takes_the_place_of_the_networks_weights_which_is_said(tmp_path):
    given = {**SMALL, "weights": str(saved(tmp_path / "one"))}
    found = plan({"name": "kd_offline", "teacher": str(saved(tmp_path / "other"))}, given)
    assert trained_alone(found) == []
    assert "T is what technique.teacher gives" in found.notes[-1]
    assert "are not used" in found.notes[-1]


@pytest.mark.parametrize("who", ["teacher", "student"])
def test_a_folder_as_architecture_without_its_weights_is_refused(tmp_path, who):
    folder = {"architecture": f"local-dir:{saved(tmp_path / 'mine')}", "weights": "none"}
    networks = {"teacher": SMALL, "student": SMALL, "count": 1, who: folder}
    with pytest.raises(UserError, match=r"names a folder with weights, and `weights: none` would leave them out"):
        plan({"name": "kd_offline"}, SMALL, networks=networks)
