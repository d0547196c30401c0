"""How far apart the outlines of masks are: the 95th percentile of the Hausdorff distance, and the surface Dice.

The outline of a mask are its pixels that touch a pixel outside, edge to edge, or the border of the image. What is
ignored in the truth belongs to no class. Of an image in which neither the truth nor the answer has a class, nothing is
said of that class; where only one of them has it, the surface Dice is 0 and the distance the image's diagonal, which no
distance can exceed. Scores are means over the images of which something is said, then over the classes.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from preceptor.measures.arrays import Flags, Float64, Integers
from preceptor.measures.measure import MaskAnswers, Measure, Paired, mean_where
from preceptor.specs import IGNORED

SURFACES = ("hd95", "surface_dice")
"""What is kept of each image and foreground class; NaN where nothing is said of it."""

_SHARE = 0.95


def surface_scores(
    predicted: Integers, target: Integers, *, classes: int, pixel: float = 1.0, tolerance: float = 2.0
) -> Float64:
    """(classes - 1, 2): HD95 and surface Dice of each foreground class of one image.

    Args:
        predicted, target: (H, W) class of each pixel; ignored pixels of the target are of no class.
        pixel: side of a pixel, in the unit of distances.
        tolerance: how far an outline may be off and still count as found, in the same unit.
    """
    counted = target != IGNORED
    found = [_of_class((predicted == c) & counted, target == c, pixel, tolerance) for c in range(1, classes)]
    return np.array(found, dtype=np.float64).reshape(-1, len(SURFACES))


def _of_class(predicted: Flags, target: Flags, pixel: float, tolerance: float) -> tuple[float, float]:
    if not predicted.any() and not target.any():
        return np.nan, np.nan
    if not predicted.any() or not target.any():
        return float(np.hypot(*predicted.shape)) * pixel, 0.0
    there, back = outline_distances(predicted, target)
    hd95 = max(float(np.quantile(there, _SHARE)), float(np.quantile(back, _SHARE))) * pixel
    near = sum(int((one * pixel <= tolerance * (1 + 1e-9)).sum()) for one in (there, back))
    return hd95, near / (len(there) + len(back))


def outline_distances(first: Flags, second: Flags) -> tuple[Float64, Float64]:
    """From each pixel of the first outline to the nearest of the second, and the other way round, in pixels."""
    from scipy.spatial import cKDTree

    points = [np.argwhere(outline(mask)) for mask in (first, second)]
    trees = [cKDTree(one) for one in points]
    return trees[1].query(points[0])[0], trees[0].query(points[1])[0]


def outline(mask: Flags) -> Flags:
    """(H, W) the pixels of a mask that touch a pixel outside of it, or the border of the image."""
    inside = np.pad(mask, 1)
    whole = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    return mask & ~whole


def _sums_of(place: int, classes: slice) -> Callable[[MaskAnswers], Float64]:
    """(N, 2K) what is said of each class, and whether anything is."""

    def addends(answers: MaskAnswers) -> Float64:
        assert answers.surfaces is not None
        values = answers.surfaces[:, classes, place]
        known = ~np.isnan(values)
        return np.concatenate([np.where(known, values, 0.0), known.astype(np.float64)], axis=1)

    return addends


def _mean(of_nothing: float) -> Callable[[Float64], Float64]:
    """(B, 2K) sums -> (B,) the mean over the classes that occur, each over its images."""

    def finish(sums: Float64) -> Float64:
        values, counts = np.split(sums, 2, axis=1)
        known = counts > 0.5
        return np.where(known.any(axis=1), mean_where(values / np.maximum(counts, 1), known), of_nothing)

    return finish


def _occurs(sums: Float64) -> Flags:
    found: Flags = sums[:, sums.shape[1] // 2 :].sum(axis=1) > 0.5
    return found


def _hd95(name: str, label: str, classes: slice) -> Measure[MaskAnswers]:
    return Measure(
        name=name,
        label=label,
        task="segmentation",
        addends=_sums_of(0, classes),
        finish=_mean(0.0),
        occurs=_occurs,
        higher_is_better=False,
        is_share=False,
        wants_surfaces=True,
    )


def _surface_dice(name: str, label: str, classes: slice) -> Measure[MaskAnswers]:
    return Measure(
        name=name,
        label=label,
        task="segmentation",
        addends=_sums_of(1, classes),
        finish=_mean(1.0),
        occurs=_occurs,
        wants_surfaces=True,
        paired=Paired(test="pooled", label=label),
    )


@cache
def measures_of_class(place: int, of: str) -> tuple[Measure[MaskAnswers], ...]:
    """HD95 and surface Dice of one foreground class, counted from 0."""
    only = slice(place, place + 1)
    return _hd95(f"hd95.{of}", f"HD95 {of}", only), _surface_dice(f"surface_dice.{of}", f"surface Dice {of}", only)


def surfaces_of(classes: Sequence[str]) -> tuple[Measure[MaskAnswers], ...]:
    """Both of each foreground class; none where there is but one.

    Args:
        classes: names of all, background first.
    """
    if len(classes) < 3:
        return ()
    return tuple(one for place, of in enumerate(classes[1:]) for one in measures_of_class(place, of))


MEASURES: tuple[Measure[MaskAnswers], ...] = (
    _hd95("hd95", "HD95", slice(None)),
    _surface_dice("surface_dice", "surface Dice", slice(None)),
)
