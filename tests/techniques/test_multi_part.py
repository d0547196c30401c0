"""Multi-Part KD: which snapshot teaches in which part."""

import pytest

from preceptor.errors import UserError
from preceptor.plan.stage import WarmStart
from preceptor.recipe import parse_recipe
from preceptor.techniques.multi_part import LatestWithin

from .workshop import workshop

SMALL = {"architecture": "resnet10t", "weights": "none"}


def plan_of(technique=None, *, epochs=6, teacher=None, count=1, **training):
    return parse_recipe(
        {
            "task": "classification",
            "data": {"source": "phantom", "image_size": 32},
            "networks": {"teacher": SMALL, "student": SMALL, "count": count},
            "technique": {"name": "multi_part", **(technique or {})},
            "training": {"epochs": epochs, **training},
            "teacher_training": {"epochs": teacher} if teacher else {},
        }
    ).plan()


def anchors(plan):
    """The epoch of the snapshot that teaches in each part."""
    return [stage.members["T"].start.which for stage in plan.stages[1:]]


def test_the_published_setting():
    """Ten parts of five epochs, each with the teacher of its own end; one phase, never begun anew."""
    teacher, *parts = plan_of(epochs=50).stages
    assert (teacher.name, teacher.last_epoch, sorted(teacher.snapshots)) == ("teacher", 50, list(range(5, 51, 5)))
    assert [part.members["T"].start for part in parts] == [
        WarmStart("teacher", "T", epoch) for epoch in range(5, 51, 5)
    ]
    assert not any(part.members["T"].trains for part in parts)
    assert [(part.first_epoch, part.last_epoch) for part in parts] == [(e, e + 5) for e in range(0, 50, 5)]
    assert {(part.clock, part.phase_epochs, part.restarts_schedule) for part in parts} == {("main", 50, False)}
    assert [part.continues for part in parts] == [None, *(part.name for part in parts[:-1])]
    assert parts[0].name == "main-01"
    edge = parts[0].edges[0]
    assert (edge.source, edge.weight, edge.loss.options["temperature"]) == ("T", 0.5, 5.0)
    assert parts[0].members["S1"].task_weight == 0.5


def test_a_last_part_that_is_shorter():
    plan = plan_of({"every": 4}, epochs=10)
    assert [(part.first_epoch, part.last_epoch) for part in plan.stages[1:]] == [(0, 4), (4, 8), (8, 10)]
    assert anchors(plan) == [4, 8, 10]
    assert plan.notes == ("the last part has 2 of 4 epochs",)


def test_a_teacher_that_trains_for_longer_has_snapshots_further_apart():
    plan = plan_of({"every": 2, "teacher_every": 5}, teacher=13)
    assert anchors(plan) == [5, 10, 13]


@pytest.mark.parametrize("technique", [{"every": 2}, {"every": 3, "snapshots": ["given"]}])
def test_parts_without_a_snapshot_of_their_own_are_refused(technique, tmp_path, monkeypatch):
    (tmp_path / "given").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"there are \d snapshots of the teacher \(.*\), but \d parts of \d epochs"):
        plan_of(technique, epochs=5, teacher=10)


def test_every_part_with_the_last_snapshot_is_offline_distillation():
    assert anchors(plan_of({"anchors": "last", "every": 2}, epochs=5, teacher=9)) == [9, 9, 9]


def test_greedy_begins_with_the_first_snapshot_and_ends_with_the_last():
    plan = plan_of({"anchors": "greedy", "every": 2}, epochs=8)
    parts = plan.stages[1:]
    assert [bool(part.choices) for part in parts] == [False, True, True, False]
    assert (anchors(plan)[0], anchors(plan)[-1]) == (2, 8)
    assert list(parts[1].choices["T"].candidates) == ["epoch 2", "epoch 4", "epoch 6", "epoch 8"]
    assert anchors(plan_of({"anchors": "greedy"}, epochs=5)) == [5]


@pytest.mark.parametrize(
    ("distances", "chosen"),
    [
        ([2.0, 2.2, 2.5, 2.6], "2"),  # 2.5 is 1.25 times 2
        ([2.0, 9.0, 2.5, 2.6], "2"),  # a far one between does not matter
        ([2.0, 9.0, 9.0], "1"),  # none is near enough: forward all the same
        ([2.0, 1.0, 0.5], "2"),
        ([2.0], "0"),
    ],
)
def test_the_latest_anchor_within_reach_by_hand(distances, chosen):
    assert LatestWithin(1.25).decide({str(n): d for n, d in enumerate(distances)}) == chosen


def test_weights_of_task_and_teacher():
    sum_form = plan_of({"weight": 3.0, "alpha": 1.0}, count=2).stages[-1]
    assert [(edge.target, edge.weight) for edge in sum_form.edges] == [("S1", 3.0), ("S2", 3.0)]
    assert sum_form.members["S2"].task_weight == 1.0
    with pytest.raises(UserError, match=r"weight 3\.0: alpha, the task's weight, would be 1 - weight"):
        plan_of({"weight": 3.0})


def test_patience_does_not_take_snapshots_away():
    plan = plan_of(patience=2)
    assert plan.stages[0].training.patience is None
    assert plan.stages[1].training.patience == 2
    assert "the teacher trains all its epochs" in plan.notes[-1]


def test_snapshots_that_do_not_exist_are_named(tmp_path):
    with pytest.raises(UserError, match=r"technique.snapshots, number 1: '.*absent' does not exist"):
        workshop().settled(plan_of({"snapshots": [str(tmp_path / "absent")]}, epochs=5))
    with pytest.raises(UserError, match="teacher_every: the snapshots are given"):
        plan_of({"snapshots": ["one"], "teacher_every": 2})


def test_parts_longer_than_the_training_are_refused():
    with pytest.raises(UserError, match=r"technique\.every 6 is more than training\.epochs, which is 5: .*one part"):
        plan_of({"every": 6}, epochs=5)
    with pytest.raises(
        UserError, match=r"teacher_every 4 is more than teacher_training\.epochs, which is 3: .*snapshot"
    ):
        plan_of({"every": 2, "teacher_every": 4, "anchors": "last"}, epochs=5, teacher=3)
