"""How well masks are predicted.

Everything follows from counts per image and foreground class, (N, K, 4) int64 in the order of
:data:`COUNTS`, so that masks need not be kept. (N, 4) is taken for a single foreground class.
"""

from collections.abc import Sequence

import numpy as np

from preceptor.measures.arrays import Float64, Floats, Int64, Integers

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
        predicted, target: (N, ...) class of each pixel, 0 to classes - 1
    """
    if predicted.shape != target.shape:
        raise ValueError(f"masks differ in shape: predicted {predicted.shape}, target {target.shape}")
    for name, mask in (("predicted", predicted), ("target", target)):
        if mask.size and (mask.min() < 0 or mask.max() >= classes):
            raise ValueError(f"{name} mask holds {mask.min()}–{mask.max()}, classes 0–{classes - 1} were wanted")
    images = len(target)
    pairs = target.reshape(images, -1).astype(np.int64) * classes + predicted.reshape(images, -1)
    pairs += np.arange(images)[:, None] * classes**2
    confusion = np.bincount(pairs.ravel(), minlength=images * classes**2).reshape(images, classes, classes)
    tp = np.diagonal(confusion, axis1=1, axis2=2)
    fp, fn = confusion.sum(axis=1) - tp, confusion.sum(axis=2) - tp
    tn = confusion.sum(axis=(1, 2))[:, None] - tp - fp - fn
    return np.stack([tp, fp, fn, tn], axis=-1)[:, 1:]  # (N, K, 4)


def sum_by_parent(counts: Int64, parents: Sequence[str]) -> tuple[list[str], Int64]:
    """Counts of tiles added up to those of their images: image names in order of appearance, (M, ...).

    For tiles that do not overlap; put the masks of overlapping ones together first.
    """
    names = list(dict.fromkeys(parents))
    place = {name: row for row, name in enumerate(names)}
    total = np.zeros((len(names), *counts.shape[1:]), dtype=np.int64)
    np.add.at(total, [place[parent] for parent in parents], counts)
    return names, total


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


def segmentation_scores(counts: Int64) -> dict[str, float]:
    """Pooled IoU and F1 over all pixels of all images, and the means of the images' own.

    Per image, a class that neither prediction nor target has counts 1. Several foreground classes
    are averaged: pooled over those that occur in any image, per image over all.

    Shapes:
        counts: (N, 4) or (N, K, 4)
    """
    if counts.ndim not in (2, 3) or counts.shape[-1] != 4 or not len(counts):
        raise ValueError(f"counts: shape {counts.shape}, (images ≥ 1, foreground classes, 4) was wanted")
    per_class = counts if counts.ndim == 3 else counts[:, None]
    pooled = per_class.sum(axis=0)  # (K, 4)
    occurs = pooled[:, :3].sum(axis=1) > 0
    pooled = pooled[occurs] if occurs.any() else pooled
    return {
        "iou": float(intersection_over_union(pooled).mean()),
        "f1": float(mask_f1(pooled).mean()),
        "iou_per_image": float(intersection_over_union(per_class).mean()),
        "f1_per_image": float(mask_f1(per_class).mean()),
    }
