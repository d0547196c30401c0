"""How well classes are predicted.

The prediction is the class of largest probability. Precision, recall and F1 are averaged over the classes that occur
among labels or predictions, 0 where undefined. AUROC is that of class 1 for two classes, else the mean over classes
against the rest, without classes that no label names.
"""

from collections.abc import Callable

import numpy as np

from preceptor.measures.arrays import Flags, Float64, Floats, Int64, Integers
from preceptor.measures.measure import ClassAnswers, Measure, Paired, mean_where


def confusion_matrix(labels: Integers, predictions: Integers, *, classes: int) -> Int64:
    """(C, C) counts, rows by label, columns by prediction."""
    places = labels.astype(np.int64) * classes + predictions
    return np.bincount(places, minlength=classes**2).reshape(classes, classes)


def auroc(probabilities: Floats, labels: Integers) -> float | None:
    """Area under the ROC curve of class 1 of two, else the mean over those that occur; None if all labels are equal."""
    present = np.unique(labels)
    if len(present) < 2:
        return None
    if probabilities.shape[1] == 2:
        return ranking_area(probabilities[:, 1], labels == 1)
    return float(np.mean([ranking_area(probabilities[:, c], labels == c) for c in present]))


def ranking_area(scores: Floats, positive: Flags) -> float:
    """Share of (positive, negative) pairs that ``scores`` (N,) orders rightly, ties counting half: the AUROC.

    Raises:
        ValueError: there is no positive or no negative sample.
    """
    return float(placements(scores, positive)[0].mean())


def placements(scores: Floats, positive: Flags) -> tuple[Float64, Float64]:
    """Share of negatives below each positive, and of positives above each negative; ties count half.

    Either's mean is the AUROC (the structural components of DeLong, DeLong & Clarke-Pearson 1988).

    Raises:
        ValueError: there is no positive or no negative sample.
    """
    above, below = scores[positive], scores[~positive]
    if not len(above) or not len(below):
        raise ValueError("AUROC wants at least one positive and one negative sample")
    return _share_below(above, below), 1.0 - _share_below(below, above)


def _share_below(values: Floats, others: Floats) -> Float64:
    """Share of ``others`` below each value, those equal to it counting half."""
    ordered = np.sort(others)
    beaten = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    share: Float64 = beaten / (2 * len(ordered))
    return share


def _right(answers: ClassAnswers) -> Float64:
    """(N,) 1 where the prediction is the label."""
    right: Float64 = (answers.predictions == answers.labels).astype(np.float64)
    return right


def _confusion(answers: ClassAnswers) -> Float64:
    """(N, 3C) for each class: is it the right prediction, the label, the prediction?"""
    labelled, predicted = _one_hot(answers.labels, answers), _one_hot(answers.predictions, answers)
    return np.concatenate([labelled & predicted, labelled, predicted], axis=1).astype(np.float64)


def _one_hot(values: Integers, answers: ClassAnswers) -> Flags:
    hot: Flags = values[:, None] == np.arange(answers.probabilities.shape[1])
    return hot


def _accuracy(sums: Float64) -> Float64:
    hits, labelled, _ = np.split(sums, 3, axis=1)
    share: Float64 = hits.sum(axis=1) / np.maximum(labelled.sum(axis=1), 1e-12)
    return share


def _macro(of_class: Callable[[Float64, Float64, Float64], Float64]) -> Callable[[Float64], Float64]:
    """The mean over classes of a score of (hits, labelled, predicted)."""

    def finish(sums: Float64) -> Float64:
        hits, labelled, predicted = np.split(sums, 3, axis=1)
        return mean_where(of_class(hits, labelled, predicted), labelled + predicted > 0)

    return finish


def _areas(answers: ClassAnswers) -> Float64:
    """(N, 4K) what each sample adds to the AUROC A of each class (of class 1 where there are two), to first order.

    A positive adds the share of negatives below it, a negative how much the share of positives above it is off A, so
    that the mean over positives plus that over negatives is A for all samples, and its linearisation for a resample.
    """
    labelled, chances = _one_hot(answers.labels, answers), answers.probabilities
    columns = [1] if chances.shape[1] == 2 else list(range(chances.shape[1]))
    above, below = np.zeros((2, *chances.shape))
    for column in columns:
        positive = labelled[:, column]
        if 0 < positive.sum() < len(positive):
            of_positives, of_negatives = placements(chances[:, column], positive)
            above[positive, column] = of_positives
            below[~positive, column] = of_negatives - of_negatives.mean()
    blocks = (above, below, labelled, ~labelled)
    return np.concatenate([block[:, columns] for block in blocks], axis=1).astype(np.float64)


def _area(sums: Float64) -> Float64:
    above, below, positives, negatives = np.split(sums, 4, axis=1)
    area = above / np.maximum(positives, 1) + below / np.maximum(negatives, 1)
    known = (positives > 0) & (negatives > 0)
    return np.where(known.any(axis=1), mean_where(np.clip(area, 0, 1), known), np.nan)


MEASURES: tuple[Measure[ClassAnswers], ...] = (
    Measure(
        name="accuracy",
        label="accuracy",
        task="classification",
        addends=_confusion,
        finish=_accuracy,
        may_monitor=True,
        is_printed=True,
        is_tabled=True,
        paired=Paired(test="mcnemar", label="accuracy", values=_right),
    ),
    Measure(
        name="precision",
        label="precision",
        task="classification",
        addends=_confusion,
        finish=_macro(lambda hits, labelled, predicted: hits / np.maximum(predicted, 1)),
    ),
    Measure(
        name="recall",
        label="recall",
        task="classification",
        addends=_confusion,
        finish=_macro(lambda hits, labelled, predicted: hits / np.maximum(labelled, 1)),
    ),
    Measure(
        name="f1",
        label="F1",
        task="classification",
        addends=_confusion,
        finish=_macro(lambda hits, labelled, predicted: 2 * hits / np.maximum(labelled + predicted, 1)),
        may_monitor=True,
        is_printed=True,
    ),
    Measure(
        name="auroc",
        label="AUROC",
        task="classification",
        addends=_areas,
        finish=_area,
        # The sums follow a resample to first order only; of all samples they give the same but for rounding.
        score=lambda answers: auroc(answers.probabilities, answers.labels),
        wants_two_classes=True,
        may_monitor=True,
        is_printed=True,
        is_compared=True,
        paired=Paired(test="delong", label="AUROC", values=lambda answers: answers.probabilities[:, 1]),
    ),
)
