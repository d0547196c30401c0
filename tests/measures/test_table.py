"""One table of measures: scores as they were computed before, to the last bit, and resamples by the same entries."""

import ast
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import preceptor
from preceptor.measures import (
    MEASURES,
    ClassAnswers,
    MaskAnswers,
    classification_scores,
    fidelity_scores,
    main_measure,
    segmentation_scores,
)
from preceptor.measures.calibration import expected_calibration_error
from preceptor.measures.classification import auroc, confusion_matrix
from preceptor.measures.fidelity import kl_of_samples
from preceptor.measures.measure import mean_where
from preceptor.measures.own import answers_to_try, require_sound
from preceptor.measures.segmentation import intersection_over_union, mask_f1
from preceptor.specs import Task

OF_MASKS = ("iou", "iou_per_image", "f1_per_image", "fidelity.iou", "fidelity.f1")
KNOWN = (
    *("accuracy", "precision", "recall", "f1", "auroc", "ece", "fidelity.agreement", "fidelity.kl"),
    *OF_MASKS,
)


def of_classes(seed, samples=None, classes=None):
    """Probabilities, those of a teacher and labels; some classes may never occur."""
    generator = np.random.default_rng(seed)
    samples, classes = samples or int(generator.integers(1, 400)), classes or int(generator.integers(2, 24))
    student, teacher = (generator.dirichlet(np.full(classes, 0.3), size=samples) for _ in range(2))
    return student, teacher, generator.integers(max(1, classes - 3), size=samples)


def of_masks(seed):
    generator = np.random.default_rng(seed)
    counts = generator.integers(0, 900, size=(int(generator.integers(1, 60)), int(generator.integers(1, 4)), 4))
    counts[generator.random(counts.shape[:2]) < 0.2, :3] = 0
    return counts


def directly(probabilities, labels):
    """As every score was computed before there was a table."""
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1), classes=probabilities.shape[1])
    hits, labelled, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    occurs = labelled + predicted > 0
    scores = {
        "accuracy": float(hits.sum() / confusion.sum()),
        "precision": float((hits / np.maximum(predicted, 1))[occurs].mean()),
        "recall": float((hits / np.maximum(labelled, 1))[occurs].mean()),
        "f1": float((2 * hits / np.maximum(labelled + predicted, 1))[occurs].mean()),
        "auroc": auroc(probabilities, labels),
        "ece": expected_calibration_error(probabilities, labels),
    }
    return {name: score for name, score in scores.items() if score is not None}


@pytest.mark.parametrize("seed", range(20))
def test_scores_of_classes_are_equal_to_the_last_bit_and_in_their_order(seed):
    student, teacher, labels = of_classes(seed)
    wanted = directly(student, labels)
    found = {key: score for key, score in classification_scores(student, labels).items() if key in KNOWN}
    assert (found, list(found)) == (wanted, list(wanted))
    agreement = float((student.argmax(axis=1) == teacher.argmax(axis=1)).mean())
    fidelity = fidelity_scores(student, teacher)
    assert (fidelity["agreement"], fidelity["kl"]) == (agreement, float(kl_of_samples(student, teacher).mean()))


@pytest.mark.parametrize("seed", range(20))
def test_scores_of_masks_are_equal_to_the_last_bit_and_in_their_order(seed):
    counts = of_masks(seed)
    pooled = counts.sum(axis=0)
    occurs = pooled[:, :3].sum(axis=1) > 0
    pooled = pooled[occurs] if occurs.any() else pooled
    wanted = {
        "iou": float(intersection_over_union(pooled).mean()),
        "f1": float(mask_f1(pooled).mean()),
        "iou_per_image": float(intersection_over_union(counts).mean()),
        "f1_per_image": float(mask_f1(counts).mean()),
    }
    found = {key: score for key, score in segmentation_scores(counts).items() if key in KNOWN}
    assert (found, list(found)) == (wanted, list(wanted))


@pytest.mark.parametrize(
    "answers",
    [
        ClassAnswers(*(of_classes(3, 60, 6)[place] for place in (0, 2, 1))),
        MaskAnswers(of_masks(5), of_masks(5), surfaces=np.random.default_rng(5).random((*of_masks(5).shape[:2], 2))),
    ],
    ids=["classes", "masks"],
)
def test_every_measure_is_finish_of_the_sum_of_its_addends(answers):
    task = "classification" if isinstance(answers, ClassAnswers) else "segmentation"
    for measure in MEASURES[task].values():
        rows = measure.rows(answers)
        (found,) = measure.finished(rows.sum(axis=0, keepdims=True))
        assert found == pytest.approx(measure.of(answers)), measure.key
        twice = measure.finished(np.stack([rows.sum(axis=0), 2 * rows.sum(axis=0)]))
        assert twice == pytest.approx([found, found]), measure.key  # everything twice changes no score


def test_a_mean_over_some_is_that_of_them_alone():
    generator = np.random.default_rng(0)
    values, known = generator.random((50, 19)), generator.random((50, 19)) < 0.6
    assert mean_where(values, known).tolist() == [row[mine].mean() for row, mine in zip(values, known, strict=True)]
    assert mean_where(values[:1], np.zeros((1, 19), dtype=bool)).tolist() == [0.0]


def test_what_the_table_says():
    """Of the measures known here, in their order; others may be added."""
    keys = {task: [key for key in measures if key in KNOWN] for task, measures in MEASURES.items()}
    assert keys == {
        "classification": [key for key in KNOWN if key not in OF_MASKS],
        "segmentation": ["iou", "f1", "iou_per_image", "f1_per_image", "fidelity.iou", "fidelity.f1"],
        "features": [],
    }
    assert [main_measure(task).key for task in MEASURES] == ["accuracy", "iou", "knowledge_loss"]
    every = [one for measures in MEASURES.values() for one in measures.values() if one.key in KNOWN]
    assert [one.key for one in every if not one.higher_is_better] == ["ece", "fidelity.kl"]
    assert [one.key for one in every if one.grows_with_noise] == ["ece"]
    assert [one.key for one in every if one.may_monitor] == ["accuracy", "f1", "auroc", "iou", "f1", "iou_per_image"]


SOURCE = Path(preceptor.__file__).parent


def test_no_measure_is_named_outside_the_table():
    """What is scored, printed, compared or monitored is asked of the table; what verifies defines its own."""
    names = {key for measures in MEASURES.values() for one in measures.values() for key in (one.key, one.name)}
    names -= {"precision", "kl"}  # of a training, and of a loss
    found = [
        f"{path.relative_to(SOURCE)}: {node.value!r}"
        for path in SOURCE.rglob("*.py")
        if path.parent.name not in ("measures", "verify")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert found == []


@pytest.mark.parametrize("task", get_args(Task))
def test_every_measure_scores_answers_by_chance(task):
    for measure in MEASURES[task].values():
        require_sound(measure, answers_to_try(task, 3, np.array([0, 1, 2, 1, 2, 0])))
