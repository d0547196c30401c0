"""How well classes are predicted."""

import numpy as np
from numpy.typing import NDArray

from preceptor.measures.arrays import Float64, Floats, Int64, Integers, check_probabilities
from preceptor.measures.calibration import expected_calibration_error

Flags = NDArray[np.bool_]


def classification_scores(probabilities: Floats, labels: Integers) -> dict[str, float]:
    """Accuracy, macro precision, recall and F1, AUROC and ECE (15 bins), each from 0 to 1.

    The prediction is the class of largest probability. Precision, recall and F1 are averaged over the
    classes that occur among labels or predictions, 0 where undefined. AUROC is that of class 1 for two
    classes, else the mean over classes against the rest, without classes that no label names; where
    all labels are equal it is left out. So no value is ever NaN.

    Shapes:
        probabilities: (N, C), rows sum to 1; labels: (N,)
    """
    check_probabilities(probabilities, labels)
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1), classes=probabilities.shape[1])
    scores = confusion_scores(confusion)
    area = auroc(probabilities, labels)
    if area is not None:
        scores["auroc"] = area
    scores["ece"] = expected_calibration_error(probabilities, labels)
    return scores


def confusion_matrix(labels: Integers, predictions: Integers, *, classes: int) -> Int64:
    """(C, C) counts, rows by label, columns by prediction."""
    places = labels.astype(np.int64) * classes + predictions
    return np.bincount(places, minlength=classes**2).reshape(classes, classes)


def confusion_scores(confusion: Int64) -> dict[str, float]:
    """Accuracy and macro precision, recall and F1 of a (C, C) confusion matrix; see :func:`classification_scores`."""
    hits = confusion.diagonal()
    labelled, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    occurs = labelled + predicted > 0
    return {
        "accuracy": float(hits.sum() / confusion.sum()),
        "precision": float((hits / np.maximum(predicted, 1))[occurs].mean()),
        "recall": float((hits / np.maximum(labelled, 1))[occurs].mean()),
        "f1": float((2 * hits / np.maximum(labelled + predicted, 1))[occurs].mean()),
    }


def auroc(probabilities: Floats, labels: Integers) -> float | None:
    """Area under the ROC curve as in :func:`classification_scores`; None where all labels are equal."""
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
