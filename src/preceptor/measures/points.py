"""Operating points of a classifier, fitted on validation: temperature, thresholds, and when it is to say nothing.

A threshold is chosen on the samples on which its sensitivity and specificity are told, so these are a little too good;
how well it does on other samples is for the test part to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from preceptor.measures.arrays import Flags, Float64, Floats, Int64
from preceptor.measures.temperature import fitted_temperature, softmax
from preceptor.measures.uncertainty import Interval, Resampler, bootstrap, percentile_interval

FEWEST = 200
"""Validation samples below which nothing is fitted."""

FEWEST_ANSWERED = 30
_RESAMPLES = 200  # of whatever is fitted anew in each
_CURVE = 20


@dataclass(frozen=True, slots=True)
class ClassPoint:
    """From which probability on a class is said to be there, and how well that tells it from all others.

    Args:
        threshold: the class is said to be there where its probability is as large.
        sensitivity, specificity: at the threshold.
        positives, negatives: samples that are of the class, and that are not.
    """

    threshold: Interval
    sensitivity: Interval
    specificity: Interval
    positives: int
    negatives: int


@dataclass(frozen=True, slots=True)
class Abstention:
    """Below which certainty nothing is said, so that no more than ``wanted`` of what is said is wrong.

    Args:
        least: certainty from which on an answer is given.
        coverage: share of the samples that are answered.
        risk: share of the answers that is wrong.
        curve: (coverage, risk) from the most certain answers to all.
    """

    wanted: float
    least: float
    coverage: Interval
    risk: Interval
    curve: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """What was fitted.

    Args:
        rule: by which thresholds were chosen, in words.
        classes: by label; empty where a class is missing from the samples.
    """

    samples: int
    temperature: Interval
    rule: str
    classes: tuple[ClassPoint, ...]
    abstention: Abstention | None

    @property
    def threshold(self) -> float | None:
        """Of the second of two classes, by which that is decided; more classes are decided by the largest."""
        return self.classes[1].threshold.value if len(self.classes) == 2 else None


def decided_classes(chances: Floats, threshold: float | None) -> Int64:
    """(N,) labels of probabilities (N, C)."""
    labels: Int64 = chances.argmax(axis=1) if threshold is None else (chances[:, 1] >= threshold).astype(np.int64)
    return labels


def certainty(chances: Floats, threshold: float | None) -> Float64:
    """(N,) from 0 to 1: the largest probability; where a threshold decides, one half there and 1 at either end."""
    if threshold is None:
        return np.asarray(chances.max(axis=1), dtype=np.float64)
    of_second = chances[:, 1].astype(np.float64)
    above, below = (of_second - threshold) / max(1 - threshold, 1e-12), (threshold - of_second) / max(threshold, 1e-12)
    return np.asarray(0.5 + 0.5 * np.where(of_second >= threshold, above, below))


def fitted_points(
    logits: Floats,
    labels: Int64,
    groups: Sequence[object] | None = None,
    *,
    sensitivity: float | None = None,
    risk: float | None = None,
) -> OperatingPoints:
    """Fit all of them on validation samples.

    Args:
        logits: (N, C), or logarithms of probabilities.
        groups: (N,) patient, lesion or slide, which are drawn as a whole for the intervals.
        sensitivity: that thresholds are to have; without, they are those of the largest Youden index.
        risk: share of the answers that may be wrong; without, nothing is left unanswered.

    Raises:
        ValueError: no certainty is high enough for ``risk``.
    """
    size = len(labels)
    temperature = bootstrap(
        lambda rows: fitted_temperature(logits[rows], labels[rows]), size, groups=groups, resamples=_RESAMPLES
    )
    chances = softmax(logits / temperature.value, axis=1)
    count = chances.shape[1]
    is_whole = len(np.unique(labels)) == count
    points = [class_point(chances[:, c], labels == c, groups, sensitivity) for c in range(count)] if is_whole else []
    rule = "the largest Youden index" if sensitivity is None else f"sensitivity {sensitivity:g}"
    found = OperatingPoints(size, temperature, rule, tuple(points), None)
    if risk is None:
        return found
    sure = certainty(chances, found.threshold)
    abstention = _abstention(sure, decided_classes(chances, found.threshold) == labels, groups, risk)
    return OperatingPoints(size, temperature, rule, found.classes, abstention)


def class_point(
    scores: Floats, positive: Flags, groups: Sequence[object] | None = None, sensitivity: float | None = None
) -> ClassPoint:
    """The operating point of one class against all others, from its probabilities (N,)."""
    threshold = threshold_interval(scores, positive, groups, sensitivity)
    shares = rates_at(scores, positive, threshold.value, groups)
    return ClassPoint(threshold, *shares, int(positive.sum()), int((~positive).sum()))


def threshold_interval(
    scores: Floats, positive: Flags, groups: Sequence[object] | None = None, sensitivity: float | None = None
) -> Interval:
    """The :func:`chosen_threshold` with its interval: it is chosen anew in every resample."""
    return bootstrap(
        lambda rows: chosen_threshold(scores[rows], positive[rows], sensitivity),
        len(scores),
        groups=groups,
        resamples=_RESAMPLES,
    )


def rates_at(
    scores: Floats, positive: Flags, threshold: float, groups: Sequence[object] | None = None
) -> tuple[Interval, Interval]:
    """Sensitivity and specificity at a threshold that is given."""
    return called_rates(scores >= threshold, positive, groups)


def called_rates(called: Flags, positive: Flags, groups: Sequence[object] | None = None) -> tuple[Interval, Interval]:
    """Sensitivity and specificity of what was ``called`` positive (N,)."""

    def share(some: Flags, of: Flags) -> Interval:
        return _share(np.stack([some, of], axis=1).astype(np.float64), groups)

    return share(called & positive, positive), share(~called & ~positive, ~positive)


def _share(columns: Float64, groups: Sequence[object] | None) -> Interval:
    """First column over second, of sums; resamples without any of the second say nothing."""
    resampler = Resampler(len(columns), groups=groups)
    whole, sums = resampler.sums(columns)
    known = sums[:, 1] > 0
    return percentile_interval(float(whole[0, 0] / whole[0, 1]), sums[known, 0] / sums[known, 1], resampler.units)


def chosen_threshold(scores: Floats, positive: Flags, sensitivity: float | None = None) -> float:
    """The threshold of the largest Youden index (sensitivity + specificity - 1), or the highest of a sensitivity.

    It lies between two scores. NaN where all are positive or none is.

    Source: Youden 1950, Cancer 3:32.
    """
    if positive.all() or not positive.any():
        return float("nan")
    order = np.argsort(scores, kind="stable")
    ordered, hits = scores[order].astype(np.float64), positive[order]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])  # a threshold just below each different score
    missed = np.r_[0, np.cumsum(hits)][first]
    spared = first - missed
    found = 1 - missed / hits.sum()
    if sensitivity is None:
        place = int(np.argmax(np.round(found + spared / (~hits).sum(), 12)))
    else:
        place = int(np.flatnonzero(found >= sensitivity - 1e-12)[-1])
    at = first[place]
    return float(ordered[at] if not at else (ordered[at - 1] + ordered[at]) / 2)


def _abstention(sure: Float64, right: Flags, groups: Sequence[object] | None, wanted: float) -> Abstention:
    """Source: El-Yaniv & Wiener 2010, JMLR 11:1605: the curve of risk and coverage."""
    order = np.argsort(-sure, kind="stable")
    ordered, wrong = sure[order], ~right[order]
    answered = np.arange(1, len(sure) + 1)
    risks = np.cumsum(wrong) / answered
    ends = np.r_[ordered[1:] != ordered[:-1], True]  # equal certainties are answered together
    fitting = np.flatnonzero(ends & (risks <= wanted) & (answered >= FEWEST_ANSWERED))
    if not len(fitting):
        least = float(risks[FEWEST_ANSWERED - 1 :].min())
        raise ValueError(f"however certain, {100 * least:.1f} % or more of the answers are wrong")
    last = int(fitting[-1])
    least = 0.0 if last == len(sure) - 1 else float((ordered[last] + ordered[last + 1]) / 2)
    said = sure >= least
    every = np.ones(len(sure), dtype=bool)
    places = np.unique(np.linspace(0, len(sure) - 1, _CURVE + 1).round().astype(np.int64)[1:])
    return Abstention(
        wanted=wanted,
        least=least,
        coverage=_share(np.stack([said, every], axis=1).astype(np.float64), groups),
        risk=_share(np.stack([said & ~right, said], axis=1).astype(np.float64), groups),
        curve=tuple((float(answered[at] / len(sure)), float(risks[at])) for at in places),
    )
