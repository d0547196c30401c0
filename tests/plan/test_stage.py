"""Plans as values: compared, put into sets, asked what they need."""

import pytest

from preceptor.plan.given import Given
from preceptor.plan.merge import merge, why_unshared
from preceptor.recipe import parse_recipe
from preceptor.techniques import TECHNIQUES

SMALL = {"architecture": "resnet10t", "weights": "none"}
OPTIONS = {"graph": {"edges": [{"source": "T", "target": "S1", "loss": "kd"}]}}


def recipe_of(technique, **networks):
    several = "multi_teacher" not in technique["name"]
    teachers = {"teacher": SMALL} if several else {"teachers": [SMALL, {**SMALL, "architecture": "resnet18"}]}
    count = 1 if technique["name"] == "self_distill" else 2
    return parse_recipe(
        {
            "task": "classification",
            "data": {"source": "phantom", "image_size": 32},
            "networks": teachers | {"student": SMALL, "count": count} | networks,
            "technique": technique,
        }
    )


def plan_of(name, **options):
    return recipe_of({"name": name, **OPTIONS.get(name, {}), **options}).plan()


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_plan_is_a_value(name):
    """Made twice it is equal, hashable, and prints without a module or a function in it."""
    one, other = plan_of(name), plan_of(name)
    assert one == other
    assert hash(one) == hash(other)
    assert " object at 0x" not in repr(one)
    assert "<function" not in repr(one)


def test_equal_first_stages_are_equal_values():
    """The teacher of offline distillation is that of every technique that trains it first, but for its snapshots."""
    kd, dynamic, parts = (plan_of(name).stages[0] for name in ("kd_offline", "dynamic_kd", "multi_part"))
    assert kd == dynamic
    assert kd != parts
    assert kd.members == parts.members == plan_of("baseline", network="teacher").stages[0].members


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("kd_offline", {}, []),
        ("kd_offline", {"teacher": "runs/t"}, [Given("technique.teacher", "runs/t")]),
        (
            "multi_part",
            {"snapshots": ["a", "b"], "anchors": "greedy"},
            [Given("technique.snapshots, number 1", "a"), Given("technique.snapshots, number 2", "b")],
        ),
        (
            "multi_teacher",
            {"teachers": ["a", "b"]},
            [Given("technique.teachers, number 1", "a"), Given("technique.teachers, number 2", "b")],
        ),
        ("ml", {"teacher": "not used by ml"}, []),
    ],
)
def test_a_plan_says_which_weights_it_needs(name, options, expected):
    assert list(plan_of(name, **options).needs) == expected


def test_weights_of_the_networks_that_take_part_are_needed():
    students = [{**SMALL, "weights": "mine.safetensors"}, SMALL]
    recipe = recipe_of({"name": "ml"}, teacher={**SMALL, "weights": "unused"}, student=None, students=students)
    assert recipe.plan().needs == (Given("networks, weights of S1", "mine.safetensors"),)


def test_the_student_that_a_graft_is_made_of_takes_part():
    recipe = recipe_of({"name": "graft"}, student={**SMALL, "weights": "mine"})
    needs = [given for given in recipe.plan().needs if given.path == "mine"]
    assert [given.option for given in needs] == ["networks, weights of S1", "networks, weights of S2"]


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("kd_ml", {}, None),
        ("graph", {}, None),
        ("dynamic_kd", {"teacher": "runs/t"}, None),
        ("kd_offline", {}, "a run of 2 stages"),
        ("kd_ml", {"sequential": True}, "in turn"),
        ("kthf2", {}, None),
        ("graph", {"edges": [{"source": "T", "target": "S1", "loss": "kd", "stop_gradient": False}]}, "stop_gradient"),
    ],
)
def test_why_a_run_is_trained_alone(name, options, reason):
    found = why_unshared(plan_of(name, **options))
    assert reason in found if reason else found is None


def test_merged_plans_have_equal_untaught_members_once():
    """The online teacher learns from nobody, so that it is one; students that are taught are each run's own."""
    plans = [plan_of("kd_online", adapter="never"), plan_of("kd_ml", adapter="never"), plan_of("baseline")]
    merged = merge(plans)
    assert list(merged.stage.members) == ["T#0", "S1#0", "S2#0", "S1#1", "S2#1", "S1#2", "S2#2"]
    assert [names.get("T") for names in merged.names] == ["T#0", "T#0", None]
    assert {(edge.source, edge.target) for edge in merged.stage.edges if edge.target == "S1#1"} == {
        ("T#0", "S1#1"),
        ("S2#1", "S1#1"),
    }


def test_merged_networks_read_those_of_their_own_run():
    """Peers that a head reads learn through it; a frozen committee of equal teachers is there once."""
    merged = merge([plan_of("kthf2"), plan_of("kthf2", levels=1), plan_of("baseline")])
    assert merged.stage.members["F#1"].builds_on == ("S1#1", "S2#1")
    assert [names["S1"] for names in merged.names] == ["S1#0", "S1#1", "S1#2"]

    given = {"teachers": ["a", "b"]}
    merged = merge([plan_of("multi_teacher", **given), plan_of("multi_teacher", alpha=0.5, **given)])
    assert [name for name in merged.stage.members if name.startswith("T")] == ["T1#0", "T2#0", "T#0"]
    merged = merge([plan_of("multi_teacher", **given), plan_of("multi_teacher", integration="average", **given)])
    assert merged.stage.members["T#1"].builds_on == ("T1#0", "T2#0")

    merged = merge([plan_of("self_distill"), plan_of("self_distill")])
    exits = {name: one.kept_with for name, one in merged.stage.members.items() if one.kept_with}
    assert exits
    assert all(kept.partition("#")[2] == name.partition("#")[2] for name, kept in exits.items())
