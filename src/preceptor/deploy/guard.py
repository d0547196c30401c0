"""Whether a model in whole numbers is as good as the one in floats. Judged on validation; test is never read."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preceptor.data.tiles import Logits
from preceptor.deploy.answers import decided
from preceptor.deploy.held_out import Sample
from preceptor.deploy.parity import probabilities
from preceptor.measures import Resampler, expected_calibration_error, mask_counts, percentile_interval
from preceptor.measures.segmentation import intersection_over_union
from preceptor.measures.temperature import fitted_temperature
from preceptor.specs import IGNORED

MARGIN = 0.005
"""What the score may lose: 0.5 points."""

LEAST_AGREEMENT = 0.98
LARGEST_CALIBRATION_LOSS = 0.01
LEAST_SPEED = 1.2
_PIXELS = 200_000  # whose calibration is looked at


@dataclass(frozen=True, slots=True)
class Int8Verdict:
    """What was found of a model in whole numbers.

    Args:
        score: accuracy, or IoU, of the model in floats.
        difference, low, high: score in whole numbers minus that, with its paired 95 % interval.
        agreement: share of answers, or pixels, that are the same.
        calibration: expected calibration error after refitting the temperature, of floats and of whole numbers.
        temperature: that of the model in whole numbers.
        images: on how many validation images, in ``units`` groups or images.
    """

    score: float
    difference: float
    low: float
    high: float
    agreement: float
    calibration: tuple[float, float]
    temperature: float
    images: int
    units: int

    @property
    def objections(self) -> list[str]:
        """Why it is not as good, in words with numbers; nothing where it is."""
        found = []
        if not self.low >= -MARGIN:
            found.append(
                f"its score may be {-100 * self.low:.2f} points lower (95 % interval {100 * self.low:+.2f} to "
                f"{100 * self.high:+.2f}), {100 * MARGIN:.1f} are allowed"
            )
        if not self.agreement >= LEAST_AGREEMENT:
            found.append(f"{100 * self.agreement:.1f} % of its answers agree, {100 * LEAST_AGREEMENT:.0f} % are wanted")
        if not self.calibration[1] - self.calibration[0] <= LARGEST_CALIBRATION_LOSS:
            before, after = self.calibration
            found.append(f"its calibration error after refitting is {after:.3f} instead of {before:.3f}")
        return found

    def to_json(self) -> dict[str, Any]:
        """For ``bundle.json``."""
        return asdict(self) | {"calibration": list(self.calibration), "objections": self.objections}


def judge(floats: Sequence[Logits], whole: Sequence[Logits], sample: Sample) -> Int8Verdict:
    """Compare the logits of two models on validation images.

    Args:
        floats, whole: logits of each image, (C,) or (C, H, W).
    """
    is_map = floats[0].ndim == 3
    columns = _mask_columns if is_map else _class_columns
    before, after = columns(floats, sample), columns(whole, sample)
    resampler = Resampler(len(floats), groups=sample.groups)
    totals, sums = resampler.sums(np.concatenate([before, after], axis=1))
    width = before.shape[1]
    score = _iou if is_map else _accuracy
    interval = percentile_interval(
        float((score(totals[:, width:]) - score(totals[:, :width]))[0]),
        score(sums[:, width:]) - score(sums[:, :width]),
        resampler.units,
    )
    agree = [_same(one, other) for one, other in zip(floats, whole, strict=True)]
    calibrations = [_calibration(logits, sample) for logits in (floats, whole)]
    return Int8Verdict(
        score=float(score(totals[:, :width])[0]),
        difference=interval.value,
        low=interval.low,
        high=interval.high,
        agreement=float(np.mean(agree)),
        calibration=(calibrations[0][0], calibrations[1][0]),
        temperature=calibrations[1][1],
        images=len(floats),
        units=interval.units,
    )


def _same(one: Logits, other: Logits) -> float:
    if one.ndim == 3:
        return float((decided(one) == decided(other)).mean())
    return float(one.argmax() == other.argmax())


def _class_columns(logits: Sequence[Logits], sample: Sample) -> NDArray[np.float64]:
    """(N, 2): right, one."""
    right = np.stack(logits).argmax(axis=1) == sample.labels
    return np.stack([right, np.ones(len(right))], axis=1)


def _accuracy(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(sums[:, 0] / np.maximum(sums[:, 1], 1e-12))


def _mask_columns(logits: Sequence[Logits], sample: Sample) -> NDArray[np.float64]:
    """(N, K · 4) pixel counts of each foreground class."""
    classes = max(2, logits[0].shape[0])
    masks = np.stack([decided(one) for one in logits]).astype(np.int64)
    return mask_counts(masks, sample.labels, classes=classes).reshape(len(masks), -1).astype(np.float64)


def _iou(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return pooled_iou(sums.reshape(len(sums), -1, 4).round().astype(np.int64))


def pooled_iou(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(B,) mean over the classes that occur of the IoU of pixel counts (B, K, 4)."""
    occurs = counts[..., :3].sum(axis=-1) > 0
    values = np.where(occurs, intersection_over_union(counts), 0.0)
    return np.asarray(values.sum(axis=1) / np.maximum(occurs.sum(axis=1), 1))


def _calibration(logits: Sequence[Logits], sample: Sample) -> tuple[float, float]:
    """Expected calibration error after refitting the temperature, and that temperature; for masks of pixels."""
    rows, labels = np.stack(logits), sample.labels
    if rows.ndim == 4:
        rows = np.concatenate([np.zeros_like(rows), rows], axis=1) if rows.shape[1] == 1 else rows
        rows, labels = np.moveaxis(rows, 1, -1).reshape(-1, rows.shape[1]), labels.reshape(-1)
        if (labels == IGNORED).any():
            rows, labels = rows[labels != IGNORED], labels[labels != IGNORED]
        step = max(1, len(rows) // _PIXELS)
        rows, labels = rows[::step], labels[::step]
    temperature = fitted_temperature(rows, labels)
    chances = probabilities((rows / temperature).T).T
    return expected_calibration_error(chances, labels), temperature
