"""Calibration: does a network that says 80 % turn out right in 80 % of the cases?"""

from dataclasses import dataclass

import numpy as np

from preceptor.measures.arrays import Float64, Floats, Int64, Integers, check_probabilities
from preceptor.measures.measure import ClassAnswers, Measure

BINS = 15


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability diagram: samples by the confidence (largest probability) of their prediction.

    Args:
        edges: (B + 1,) bin borders from 0 to 1; a bin holds its upper border, not its lower one.
        count: (B,) samples in the bin.
        confidence, accuracy: (B,) their mean confidence and the share predicted rightly; 0 in an empty bin.
    """

    edges: Float64
    count: Int64
    confidence: Float64
    accuracy: Float64

    @property
    def gap(self) -> float:
        """Expected calibration error: |accuracy - confidence|, weighted by count (Guo et al. 2017)."""
        return float(np.average(np.abs(self.accuracy - self.confidence), weights=self.count))


def reliability(probabilities: Floats, labels: Integers, *, bins: int = BINS) -> Reliability:
    """Bin (N, C) probabilities into ``bins`` equal widths of confidence."""
    check_probabilities(probabilities, labels)
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    place = bins_of(confidence, bins=bins)
    count = np.bincount(place, minlength=bins)
    filled = np.maximum(count, 1)
    return Reliability(
        edges=np.linspace(0.0, 1.0, bins + 1),
        count=count,
        confidence=np.bincount(place, weights=confidence, minlength=bins) / filled,
        accuracy=np.bincount(place, weights=correct, minlength=bins) / filled,
    )


def bins_of(confidence: Floats, *, bins: int = BINS) -> Int64:
    """(N,) number of the bin of each confidence; a bin holds its upper border, not its lower one."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    return np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)


def expected_calibration_error(probabilities: Floats, labels: Integers, *, bins: int = BINS) -> float:
    """ECE over ``bins`` equal widths of confidence, from 0 to 1 (Guo et al. 2017, arXiv:1706.04599, eq. 3)."""
    return reliability(probabilities, labels, bins=bins).gap


def _gaps(answers: ClassAnswers) -> Float64:
    """(N, B + 1) right minus confident, in the bin of the sample; and 1."""
    confidence, right = answers.probabilities.max(axis=1), answers.predictions == answers.labels
    gaps = np.zeros((len(right), BINS + 1))
    gaps[np.arange(len(right)), bins_of(confidence)] = right - confidence
    gaps[:, -1] = 1
    return gaps


def _error(sums: Float64) -> Float64:
    error: Float64 = np.abs(sums[:, :-1]).sum(axis=1) / np.maximum(sums[:, -1], 1e-12)
    return error


MEASURES: tuple[Measure[ClassAnswers], ...] = (
    Measure(
        name="ece",
        label="ECE",
        task="classification",
        addends=_gaps,
        finish=_error,
        # The published formula subtracts means of a bin, not sums: equal but for rounding, which is kept as it was.
        score=lambda answers: expected_calibration_error(answers.probabilities, answers.labels),
        higher_is_better=False,
        grows_with_noise=True,
        is_printed=True,
        is_audited=True,
    ),
)
