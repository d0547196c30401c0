import itertools
from typing import get_args

import pytest

from preceptor.errors import UserError
from preceptor.specs import Task
from preceptor.techniques.published import published_cells, published_weights
from preceptor.techniques.shares import Shares, Strategy

SETUPS = {
    3: ("histopathologic_cancer", "classification", "resnet18"),
    8: ("histopathologic_cancer", "classification", "mobilenetv1_100"),
    4: ("lgg", "segmentation", "resnet18"),
    9: ("lgg", "segmentation", "mobilenetv1_100"),
    14: ("ham10000", "classification", "resnet18"),
    15: ("ham10000", "segmentation", "resnet18"),
}
TECHNIQUES = ("ml", "kd_offline", "kd_online", "kd_ml")


def weights(table, technique, strategy, teacher="resnet50"):
    dataset, task, student = SETUPS[table]
    return published_weights(
        dataset=dataset, task=task, teacher=teacher, student=student, technique=technique, strategy=strategy
    )


def test_every_cell_stands_once():
    found = [(cell.table, cell.technique, cell.strategy) for cell in published_cells()]
    assert sorted(found) == sorted(itertools.product(SETUPS, TECHNIQUES, get_args(Strategy)))
    for cell in published_cells():
        assert (cell.dataset, cell.task, cell.student) == SETUPS[cell.table]
        assert cell.task in get_args(Task)
        assert cell.teacher == "resnet50"


@pytest.mark.parametrize("cell", published_cells(), ids=lambda c: f"T{c.table}-{c.technique}-{c.strategy}")
def test_weights_sum_to_one_and_fit_the_technique(cell):
    for student in cell.weights:
        assert student.alpha + student.beta + student.gamma == pytest.approx(1.0)
        assert student.alpha > 0
        assert (student.beta > 0) == cell.technique.startswith("kd")
        assert (student.gamma > 0) == (cell.technique in ("ml", "kd_ml"))


@pytest.mark.parametrize(
    ("table", "technique", "strategy", "first", "second"),
    [
        (3, "kd_ml", "diverse", Shares(0.2, 0.4, 0.4), Shares(0.4, 0.3, 0.3)),
        (3, "ml", "diverse", Shares(0.1, 0.0, 0.9), Shares(0.2, 0.0, 0.8)),
        (8, "ml", "features", Shares(0.1, 0.0, 0.9), Shares(0.2, 0.0, 0.8)),
        (8, "kd_online", "predictions", Shares(0.1, 0.9, 0.0), Shares(0.2, 0.8, 0.0)),
        (4, "kd_online", "diverse", Shares(0.1, 0.9, 0.0), Shares(0.2, 0.8, 0.0)),
        (4, "kd_ml", "diverse", Shares(0.1, 0.45, 0.45), Shares(0.1, 0.45, 0.45)),
        (9, "ml", "diverse", Shares(0.1, 0.0, 0.9), Shares(0.2, 0.0, 0.8)),
        (14, "ml", "diverse", Shares(0.2, 0.0, 0.8), Shares(0.4, 0.0, 0.6)),
        (14, "kd_offline", "diverse", Shares(0.1, 0.9, 0.0), Shares(0.2, 0.8, 0.0)),
        (15, "kd_online", "predictions", Shares(0.1, 0.9, 0.0), Shares(0.1, 0.9, 0.0)),
    ],
)
def test_cells_as_printed(table, technique, strategy, first, second):
    assert weights(table, technique, strategy) == (first, second)


def test_mutual_learning_needs_no_teacher():
    assert weights(4, "ml", "predictions", teacher=None) == weights(4, "ml", "predictions")


def test_names_of_libraries_and_copies_of_the_data_are_understood():
    common = {"task": "classification", "technique": "kd_ml", "strategy": "diverse"}
    expected = weights(8, "kd_ml", "diverse")
    tagged = {"teacher": "hf-hub:timm/resnet50.a1_in1k", "student": "tu-mobilenetv1_100.ra4_e3600_r224_in1k"}
    assert published_weights(dataset="pcam", **tagged, **common) == expected


@pytest.mark.parametrize(
    "change", [{"dataset": "kather2016"}, {"teacher": None}, {"student": "vgg16"}, {"technique": "baseline"}]
)
def test_what_was_not_published_is_refused_with_what_was(change):
    cell = {
        "dataset": "lgg",
        "task": "segmentation",
        "teacher": "resnet50",
        "student": "resnet18",
        "technique": "kd_ml",
        "strategy": "features",
    }
    with pytest.raises(UserError, match="nothing is published for") as error:
        published_weights(**{**cell, **change})
    assert "ham10000 classification, resnet50 → resnet18" in str(error.value)
    assert "technique.alpha" in str(error.value)
