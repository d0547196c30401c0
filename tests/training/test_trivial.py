"""Constant answers by hand."""

import numpy as np
import pandas as pd
import pytest

from preceptor.measures import MEASURES, segmentation_scores
from preceptor.measures.segmentation import COUNTS, mask_counts
from preceptor.training.trivial import Trivial, trivial_answer


def classes_table(labels, answers, count=3, network="T"):
    table = pd.DataFrame({"id": map(str, range(len(labels))), "label": labels, "network": network})
    for c, column in enumerate(np.eye(count)[answers].T):
        table[f"p_{c}"] = column
    return table


def beside(labels, answers, metric="accuracy", count=3):
    table = pd.concat([classes_table(labels, answers, count), classes_table(labels, labels, count, network="S1")])
    return trivial_answer(table, "T", classes=tuple("abc"[:count]), measure=MEASURES["classification"][metric])


@pytest.mark.parametrize(
    ("metric", "score"),
    [("accuracy", 0.5), ("f1", (2 / 3 + 0 + 0) / 3), ("auroc", 0.5)],  # F1 of the majority: 2 · 4 / (4 + 8)
)
def test_the_majority_class_by_hand(metric, score):
    found = beside([1, 1, 1, 1, 0, 0, 2, 2], [0] * 8, metric)
    assert found.answer == "b"
    assert found.score == pytest.approx(score)


def test_luck_by_hand():
    """Three of four right where half is the share: 4/16 + 1/16."""
    assert beside([0, 0, 1, 1], [0, 0, 1, 0], count=2).luck == pytest.approx(5 / 16)
    assert beside([0, 0, 1, 1], [0, 0, 1, 0], metric="f1", count=2).luck is None
    assert beside([0, 0, 0, 0], [0, 0, 0, 0], count=2).luck == 1.0


def test_what_is_said_of_a_teacher():
    assert "no better than always answering 'b' on validation (accuracy 0.5000 against 0.5000)" in str(
        Trivial("b", 0.5, None).verdict(0.5, "accuracy")
    )
    assert "hardly better" in str(Trivial("b", 0.5, 0.3).verdict(0.6, "accuracy"))
    assert "in 30 of 100 cases" in str(Trivial("b", 0.5, 0.3).verdict(0.6, "accuracy"))
    assert Trivial("b", 0.5, 0.01).verdict(0.8, "accuracy") is None
    assert Trivial("b", 0.5, None).verdict(0.51, "iou") is None


@pytest.mark.parametrize("classes", [("background", "gland"), ("background", "gland", "stroma")])
@pytest.mark.parametrize("metric", ["iou", "f1", "iou_per_image"])
def test_one_class_all_over_equals_such_masks(classes, metric):
    """From the counts of any network; beside masks that are really filled with one class."""
    draw = np.random.default_rng(0)
    target, predicted = (draw.integers(0, len(classes), (4, 6, 6)) for _ in range(2))
    counts = mask_counts(predicted, target, classes=len(classes))
    rows = [
        {"id": str(n), "network": "T", "class": c + 1, **dict(zip(COUNTS, counts[n, c], strict=True))}
        for c in range(len(classes) - 1)
        for n in range(4)
    ]
    wanted = [
        segmentation_scores(mask_counts(np.full_like(target, c), target, classes=len(classes)))[metric]
        for c in range(len(classes))
    ]
    found = trivial_answer(pd.DataFrame(rows), "T", classes=classes, measure=MEASURES["segmentation"][metric])
    assert found.score == pytest.approx(max(wanted))
    assert found.answer == classes[int(np.argmax(wanted))]
