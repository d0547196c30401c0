"""Edges and losses as values."""

import pytest

from preceptor.plan.edge import Edge, LossUse, facing


def test_a_loss_is_what_the_catalogue_says():
    kd = LossUse("kd", temperature=4.0)
    assert (kd.key, kd.settings["classification"].weight) == ("kd", 0.9)
    assert kd == LossUse("kd", temperature=4.0) != LossUse("kd", temperature=2.0)
    assert len({kd, LossUse("kd", temperature=4.0), LossUse("kd")}) == 2


def test_a_loss_of_a_users_file_is_called_by_its_own_key(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        'class Mine:\n    key = "my_term"\n    settings = {"classification": Setting(weight=2.0, student_tap="last")}\n'
    )
    loss = LossUse(f"{file}:Mine")
    assert Edge(source="T", target="S1", loss=loss).name == "T->S1/my_term"
    assert loss.settings["classification"].weight == 2.0


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        (None, None, ("stages", "stages")),
        ("last", None, ("last", "last")),
        (None, "stage3", ("stages", "stage3")),
        ("stage1", "stage3", ("stage1", "stage3")),
    ],
)
def test_taps_that_are_not_named_are_the_published_ones(student, teacher, expected):
    edge = Edge(source="T", target="S1", loss=LossUse("at"), student_tap=student, teacher_tap=teacher)
    assert edge.taps("classification") == expected


def test_facing_edges_are_values():
    edges = [Edge(source=a, target=b, loss=LossUse("kd"), weight=share) for a, b, share in facing(["S1", "S2"])]
    assert len({*edges, *edges}) == 2
