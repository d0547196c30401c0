"""How well masks are predicted.

Everything follows from counts per image and foreground class, (N, K, 4) int64 in the order of
:data:`COUNTS`, so that masks need not be kept. (N, 4) is taken for a single foreground class.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from preceptor.measures.arrays import Flags, Float64, Floats, Int64, Integers
from preceptor.measures.measure import MaskAnswers, Measure, Paired, counted, mean_where, ratio
from preceptor.specs import IGNORED

COUNTS = ("tp", "fp", "fn", "tn")


def masks_from_logits(logits: Floats) -> Int64:
    """Class of each pixel, (N, H, W): logit above 0 (probability above 0.5) for one channel, else the argmax.

    Shapes:
        logits: (N, 1, H, W) or (N, C, H, W)
    """
    return (logits[:, 0] > 0).astype(np.int64) if logits.shape[1] == 1 else logits.argmax(axis=1)


def mask_counts(predicted: Integers, target: Integers, *, classes: int = 2) -> Int64:
    """Pixels that are true and false positives and negatives, (N, classes - 1, 4); class 0 is background.

    Shapes:
        predicted: (N, ...) class of each pixel, 0 to classes - 1
        target: the same; pixels that are :data:`~preceptor.specs.IGNORED` count nowhere
    """
    if predicted.shape != target.shape:
        raise ValueError(f"masks differ in shape: predicted {predicted.shape}, target {target.shape}")
    scored = target != IGNORED
    is_whole = bool(scored.all())
    for name, mask in (("predicted", predicted), ("target", target if is_whole else target[scored])):
        if mask.size and (mask.min() < 0 or mask.max() >= classes):
            raise ValueError(f"{name} mask holds {mask.min()}–{mask.max()}, classes 0–{classes - 1} were wanted")
    images = len(target)
    pairs = target.reshape(images, -1).astype(np.int64) * classes + predicted.reshape(images, -1)
    pairs += np.arange(images)[:, None] * classes**2
    chosen = pairs.ravel() if is_whole else pairs[scored.reshape(images, -1)]
    confusion = np.bincount(chosen, minlength=images * classes**2).reshape(images, classes, classes)
    tp = np.diagonal(confusion, axis1=1, axis2=2)
    fp, fn = confusion.sum(axis=1) - tp, confusion.sum(axis=2) - tp
    tn = confusion.sum(axis=(1, 2))[:, None] - tp - fp - fn
    return np.stack([tp, fp, fn, tn], axis=-1)[:, 1:]  # (N, K, 4)


def intersection_over_union(counts: Int64) -> Float64:
    """TP / (TP + FP + FN) over the last axis (..., 4), 1 where neither prediction nor target has a pixel."""
    tp, fp, fn = (counts[..., place].astype(np.float64) for place in range(3))
    union = tp + fp + fn
    return np.where(union > 0, tp / np.maximum(union, 1), 1.0)


def mask_f1(counts: Int64) -> Float64:
    """2TP / (2TP + FP + FN), the Dice coefficient, over the last axis; 1 where there is no pixel at all."""
    tp, fp, fn = (counts[..., place].astype(np.float64) for place in range(3))
    size = 2 * tp + fp + fn
    return np.where(size > 0, 2 * tp / np.maximum(size, 1), 1.0)


def _pixels(answers: MaskAnswers) -> Float64:
    """(N, K·4) counts of each foreground class."""
    return answers.counts.reshape(len(answers.counts), -1).astype(np.float64)


def over_all_pixels(of_counts: Callable[[Int64], Float64]) -> Callable[[Float64], Float64]:
    """The mean over the foreground classes that occur, each from all pixels; 1 where none occurs.

    Args:
        of_counts: (..., 4) counts -> scores.
    """

    def finish(sums: Float64) -> Float64:
        counts = sums.reshape(len(sums), -1, 4).round().astype(np.int64)
        occurs = counts[..., :3].sum(axis=-1) > 0
        return np.where(occurs.any(axis=1), mean_where(of_counts(counts), occurs), 1.0)

    return finish


def any_foreground(sums: Float64) -> Flags:
    """(B,) whether the truth or the answer has a pixel of any foreground class."""
    pixels = sums.reshape(len(sums), -1, 4)[..., :3].sum(axis=(1, 2))
    found: Flags = pixels > 0.5
    return found


def _per_image(name: str, label: str, of_counts: Callable[[Int64], Float64], *, is_main: bool) -> Measure[MaskAnswers]:
    """The mean over images, and in each over foreground classes; a class that is nowhere in an image counts 1."""

    def values(answers: MaskAnswers) -> Float64:
        mean: Float64 = of_counts(answers.counts).mean(axis=1)
        return mean

    return Measure(
        name=name,
        label=label,
        task="segmentation",
        addends=lambda answers: counted(values(answers)),
        finish=ratio,
        # One mean over images and classes: with several classes a mean of means rounds otherwise.
        score=lambda answers: float(of_counts(answers.counts).mean()),
        paired=Paired(test="permutation", label=label, values=values),
        may_monitor=is_main,
        is_printed=is_main,
    )


POOLED = IOU, F1 = ("iou", "f1")
"""What there is of a single foreground class, too, as ``iou.gland``."""


def class_scored(key: str) -> str | None:
    """The class of whose mask ``key`` is a score: ``gland`` of ``iou.gland``; None of other keys."""
    name, dot, of = key.partition(".")
    return of if dot and of and name in POOLED else None


def measures_of(classes: Sequence[str]) -> tuple[Measure[MaskAnswers], ...]:
    """IoU and F1 of each foreground class, from all pixels of all images; none where there is but one.

    Args:
        classes: names of all, background first.
    """
    if len(classes) < 3:
        return ()
    return tuple(
        Measure(
            name=f"{name}.{of}",
            label=f"{label} {of}",
            task="segmentation",
            addends=_pixels_of(place),
            finish=_of_one(of_counts),
            may_monitor=True,
        )
        for name, label, of_counts in ((IOU, "IoU", intersection_over_union), (F1, "F1", mask_f1))
        for place, of in enumerate(classes[1:])
    )


@cache
def _pixels_of(place: int) -> Callable[[MaskAnswers], Float64]:
    """Counts of one foreground class; always the same function, so that measures share the work."""

    def addends(answers: MaskAnswers) -> Float64:
        return answers.counts[:, place].astype(np.float64)

    return addends


def _of_one(of_counts: Callable[[Int64], Float64]) -> Callable[[Float64], Float64]:
    """(B, 4) counts -> (B,) scores."""

    def finish(sums: Float64) -> Float64:
        return of_counts(sums.round().astype(np.int64))

    return finish


_IOU_PER_IMAGE = _per_image("iou_per_image", "IoU per image", intersection_over_union, is_main=True)
_F1_PER_IMAGE = _per_image("f1_per_image", "F1 per image", mask_f1, is_main=False)

MEASURES: tuple[Measure[MaskAnswers], ...] = (
    Measure(
        name=IOU,
        label="IoU",
        task="segmentation",
        addends=_pixels,
        finish=over_all_pixels(intersection_over_union),
        occurs=any_foreground,
        may_monitor=True,
        is_printed=True,
        is_tabled=True,
        paired=Paired(test="pooled", label="IoU"),
    ),
    Measure(
        name=F1,
        label="F1",
        task="segmentation",
        addends=_pixels,
        finish=over_all_pixels(mask_f1),
        occurs=any_foreground,
        may_monitor=True,
        is_printed=True,
        is_tabled=True,
        paired=Paired(test="pooled", label="F1"),
    ),
    _IOU_PER_IMAGE,
    _F1_PER_IMAGE,
)
