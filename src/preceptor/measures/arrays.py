"""Array types of the measures, and the checks that all of them share."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Flags = NDArray[np.bool_]


def check_probabilities(probabilities: Floats, labels: Integers | None = None) -> None:
    """Refuse what is no (N, C) table of class probabilities, or no label for each of its rows.

    Raises:
        ValueError: wrong shape, no sample, values outside 0–1, rows that do not sum to 1, labels outside 0..C-1.
    """
    if probabilities.ndim != 2 or probabilities.shape[0] == 0 or probabilities.shape[1] < 2:
        raise ValueError(f"probabilities: shape {probabilities.shape}, (samples, classes ≥ 2) was wanted")
    sums = probabilities.sum(axis=1, dtype=np.float64)
    if not (probabilities.min() >= 0 and np.abs(sums - 1).max() < 1e-2):
        raise ValueError("probabilities: every row must be ≥ 0 and sum to 1; apply softmax to logits first")
    if labels is None:
        return
    if labels.shape != probabilities.shape[:1]:
        raise ValueError(f"labels: shape {labels.shape} for {len(probabilities)} rows of probabilities")
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(f"labels: {labels.min()}–{labels.max()} for {probabilities.shape[1]} classes from 0")


def check_counts(counts: Int64) -> None:
    """Refuse what are no (N, K, 4) counts of pixels.

    Raises:
        ValueError: wrong shape, or no image.
    """
    if counts.ndim != 3 or counts.shape[-1] != 4 or not len(counts):
        raise ValueError(f"counts: shape {counts.shape}, (images ≥ 1, foreground classes, 4) was wanted")
