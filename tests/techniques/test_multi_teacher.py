import json

import pytest
from tests.runs.results import COMPLETE

from preceptor.errors import UserError
from preceptor.networks.build import build_network
from preceptor.plan.ready import require_trainable
from preceptor.plan.stage import WarmStart
from preceptor.recipe import parse_recipe
from preceptor.specs import NetworkSpec
from preceptor.techniques.teachers import best_teacher, committee, teachers_of

from .workshop import made, workshop

SMALL = {"architecture": "test_resnet", "weights": "none"}
CLASSES = ("benign", "tumour")
SHOP = workshop(*CLASSES)


def recipe_of(technique=None, *, networks=None, count=2, **more):
    return parse_recipe(
        {
            "task": "classification",
            "data": {"source": "histopathologic_cancer", "path": "nowhere", "image_size": 32},
            "networks": {"teacher": SMALL, "student": SMALL, "count": count} if networks is None else networks,
            "technique": {"name": "multi_teacher", **(technique or {})},
            **more,
        }
    )


def plan_of(technique=None, **more):
    recipe = recipe_of(technique, **more)
    plan = SHOP.settled(recipe.plan(SHOP))
    require_trainable(plan, shots=recipe.split.shots)
    return plan


def edges(plan):
    return {(e.source, e.target): pytest.approx(e.weight) for e in plan.stages[-1].edges}


UNLIKE = {"teachers": [SMALL, {**SMALL, "architecture": "test_vit", "input_size": 48}], "student": SMALL}


def test_each_teacher_is_trained_in_a_stage_of_its_own():
    plan = plan_of(networks=UNLIKE)
    assert [stage.name for stage in plan.stages] == ["teacher1", "teacher2", "main"]
    assert [stage.learners for stage in plan.stages] == [("T1",), ("T2",), ("S1", "S2")]
    members = plan.stages[-1].members
    assert list(members) == ["T1", "T2", "T", "S1", "S2"]
    assert members["T2"].start == WarmStart("teacher2", "T2")
    assert members["T"].builds_on == ("T1", "T2")
    assert (plan.teacher, plan.students) == ("T", ("S1", "S2"))


def test_teachers_prepare_their_own_input():
    networks = made(plan_of(networks=UNLIKE).stages[-1], SHOP)
    sizes = [networks[name].network_size for name in ("T1", "T2")]
    assert sizes == [(32, 32), (48, 48)]


def test_folds_are_teachers_of_one_architecture():
    plan = plan_of({"folds": 3})
    assert [stage.fold for stage in plan.stages] == [(1, 3), (2, 3), (3, 3), None]
    assert plan.notes == (
        "Each of the 3 teachers is trained without one fold of the training part; the students learn from all of it.",
    )
    first, second = (made(stage, SHOP)[name] for stage, name in zip(plan.stages, ("T1", "T2"), strict=False))
    one, other = first.state_dict(), second.state_dict()
    assert any(not one[key].equal(other[key]) for key in one), "each has a start of its own"


def test_without_gamma_the_committee_alone_teaches():
    assert edges(plan_of()) == {("T", "S1"): 0.8, ("T", "S2"): 0.8}


def test_with_gamma_peers_teach_too():
    """KD+ML with several teachers."""
    found = edges(plan_of({"alpha": 0.2, "gamma": [0.4, 0.0]}))
    assert found == {("T", "S1"): 0.4, ("T", "S2"): 0.8, ("S1", "S2"): 0.0, ("S2", "S1"): 0.4}


def test_weights_by_labels_are_said_to_be_unknown_in_use():
    (note,) = plan_of({"integration": "ce"}).notes
    assert "where it is evaluated, labels are unknown and its teachers weigh equally" in note


@pytest.mark.parametrize(
    ("technique", "more", "message"),
    [
        ({"folds": 3, "teachers": ["a", "b"]}, {}, "folds: the teachers are given"),
        ({"folds": 3}, {"networks": UNLIKE}, "technique.folds: .* of one architecture"),
        ({"power": 2.0, "integration": "average"}, {}, "power: integration average does not weigh by validation"),
        ({"gamma": 0.5}, {"count": 1}, "technique.gamma: a lone student has no peers"),
        ({"teachers": ["nowhere", "else"]}, {}, "technique.teachers, number 1: 'nowhere' does not exist"),
        ({"teachers": ["a"]}, {"networks": UNLIKE}, "technique.teachers: 1 given for 2 networks.teachers"),
        ({}, {"networks": {"student": SMALL}}, "`networks.teachers` or `technique.teachers`"),
        ({}, {"networks": {**UNLIKE, "teacher": SMALL}}, "give either `teacher` or a list of `teachers`"),
        ({"name": "kd_offline"}, {"networks": UNLIKE}, "networks.teachers: kd_offline has one teacher at most"),
        ({}, {"split": {"shots": 5}}, r"split.shots 5: the teacher would be trained .* as technique.teachers\."),
    ],
)
def test_what_does_not_fit_together_is_refused(technique, more, message):
    with pytest.raises(UserError, match=message):
        plan_of(technique, **more)


@pytest.fixture
def run(tmp_path):
    """``run("resnet10t", 0.8)`` makes a run folder with a teacher of that architecture and validation accuracy."""

    def make(architecture="test_resnet", accuracy=0.5):
        folder = tmp_path / f"{architecture}-{accuracy}"
        spec = NetworkSpec(architecture=architecture, weights="none")
        network = build_network(spec, task="classification", classes=CLASSES, image_size=(32, 32), seed=0)
        network.save(folder / "networks" / "T")
        (folder / "result.json").write_text(json.dumps({**COMPLETE, "validation": {"T": {"accuracy": accuracy}}}))
        return folder

    return make


def cast_of(teachers, networks=None):
    technique = {"teachers": [str(one) for one in teachers]}
    return recipe_of(technique, networks=networks or {"student": SMALL}).cast()


def given(*teachers, networks=None):
    """T1 … TK as a plan has them, from these folders."""
    return teachers_of(cast_of(teachers, networks), [str(one) for one in teachers])


def spec_of(teachers):
    """What the first turns out to be."""
    return SHOP.settled_network(teachers["T1"]).spec


def test_the_best_teacher_is_that_of_the_best_validation_score(run):
    folders = [run(accuracy=accuracy) for accuracy in (0.5, 0.9, 0.7)]
    assert best_teacher(given(*folders), "accuracy") == "T2"
    assert best_teacher(given(folders[2]), "accuracy") == "T1"
    (folders[0] / "result.json").unlink()
    with pytest.raises(UserError, match=r"T1 \(.*0.5\) tells a validation accuracy, .* technique.host=T1"):
        best_teacher(given(*folders), "accuracy")


def test_the_architecture_is_that_of_the_folder_unless_it_is_listed(run):
    folder = run("resnet10t")
    assert spec_of(given(folder)).architecture == "resnet10t"
    assert spec_of(given(folder, networks={"teacher": SMALL, "student": SMALL})).architecture == "resnet10t"
    listed = {"teachers": [SMALL], "student": SMALL}
    assert spec_of(given(folder, networks=listed)).architecture == "test_resnet"
    with pytest.raises(UserError, match="nothing tells the architecture"):
        spec_of(given(folder / "networks" / "T" / "model.safetensors"))


def test_members_of_given_teachers_have_no_earlier_stage(run):
    folder = run()
    members = committee(cast_of([folder]), given(folder), integration="average", temperature=4.0)
    assert list(members) == ["T1", "T"]
    assert all(not member.starts and not member.trains for member in members.values())
