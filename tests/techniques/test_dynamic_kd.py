"""Dynamic KD: who learns from whom, how much and how fast."""

import pytest

from preceptor.errors import UserError
from preceptor.plan.stage import WarmStart
from preceptor.recipe import parse_recipe

SMALL = {"architecture": "resnet10t", "weights": "none"}


def plan_of(technique=None, *, count=2, epochs=20):
    return parse_recipe(
        {
            "task": "classification",
            "data": {"source": "phantom", "image_size": 32},
            "networks": {"teacher": SMALL, "student": SMALL, "count": count},
            "technique": {"name": "dynamic_kd", **(technique or {})},
            "training": {"epochs": epochs},
        }
    ).plan()


def weights(stage, epoch):
    return {(edge.source, edge.target): pytest.approx(edge.weight_in(epoch)) for edge in stage.edges}


def test_the_students_share_one_weight_in_the_teacher_and_its_start_holds_it():
    teacher, main = plan_of().stages
    assert (teacher.name, main.name) == ("teacher", "main")
    assert weights(main, 20) == {
        ("T", "S1"): 1.0,
        ("T", "S2"): 1.0,
        ("S1", "T"): 0.05,
        ("S2", "T"): 0.05,
        ("T0", "T"): 0.5,
    }
    assert {edge.loss.options["temperature"] for edge in main.edges} == {4.0}
    assert {name: member.trains for name, member in main.members.items()} == {
        "T": True,
        "T0": False,
        "S1": True,
        "S2": True,
    }
    assert main.members["T"].start == main.members["T0"].start == WarmStart("teacher", "T")
    assert {name: main.members[name].lr for name in main.learners} == {"T": 0.1, "S1": 1.0, "S2": 1.0}
    assert {member.task_weight for member in main.members.values()} == {1.0}


def test_the_teacher_listens_after_a_tenth_of_the_epochs():
    """A tenth of 40 epochs: a quarter of the weight in the first, all of it from the fourth on."""
    main = plan_of(count=1, epochs=40).stages[-1]
    assert [weights(main, epoch)["S1", "T"] for epoch in (1, 2, 4, 5)] == [0.025, 0.05, 0.1, 0.1]
    assert weights(plan_of({"warmup": 0}, count=1).stages[-1], 1)["S1", "T"] == 0.1


def test_what_has_no_weight_is_not_built():
    plan = plan_of({"teacher_learns": 0, "anchor": 0, "alpha": [0.5, 1.0]}, count=2)
    main = plan.stages[-1]
    assert set(weights(main, 1)) == {("T", "S1"), ("T", "S2")}
    assert set(main.members) == {"T", "S1", "S2"}
    assert [main.members[name].task_weight for name in ("S1", "S2")] == [0.5, 1.0]


def test_a_frozen_teacher_has_nothing_to_learn():
    with pytest.raises(UserError, match="teacher_lr 0 freezes the teacher, which then learns nothing"):
        plan_of({"teacher_lr": 0})
    main = plan_of({"teacher_lr": 0, "teacher_learns": 0, "anchor": 0}).stages[-1]
    assert main.learners == ("S1", "S2")
