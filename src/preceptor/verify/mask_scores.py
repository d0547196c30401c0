"""Every score of masks from its definition, from the pixels of each image and foreground class."""

from collections.abc import Callable, Sequence

import numpy as np

from preceptor.verify.answers import Array, Said, UnknownError
from preceptor.verify.score import Score, first_by_second


def overlap(pixels: Array, weight: int) -> Array:
    """IoU (weight 1) or Dice (weight 2) of counts (..., 4); 1 where there is nothing to find and nothing found."""
    hits, wrong = weight * pixels[..., 0], pixels[..., 1] + pixels[..., 2]
    return np.where(hits + wrong > 0, hits / np.maximum(hits + wrong, 1), 1.0)


def _pooled(weight: int) -> Callable[[Array], Array]:
    """(B, 4K) pixels of all images: the mean over the classes that occur, NaN in a resample without any."""

    def of_sums(sums: Array) -> Array:
        pixels = sums.reshape(len(sums), -1, 4)
        occurs = pixels[..., :3].sum(axis=-1) > 0.5
        found = np.where(occurs, overlap(pixels, weight), 0).sum(axis=1) / np.maximum(occurs.sum(axis=1), 1)
        nothing = ~occurs.any(axis=1)
        return np.where(nothing, 1.0 if nothing.all() else np.nan, found)

    return of_sums


def _pixel_columns(said: Said) -> Array:
    return np.asarray(said.values.reshape(len(said.ids), -1))


def _pooled_score(weight: int) -> Score:
    of_sums = _pooled(weight)
    return Score(
        lambda said: float(of_sums(_pixel_columns(said).sum(axis=0)[None])[0]), columns=_pixel_columns, of_sums=of_sums
    )


def _image_score(weight: int) -> Score:
    def columns(said: Said) -> Array:
        return np.column_stack([overlap(said.values, weight).mean(axis=1), np.ones(len(said.ids))])

    return Score(lambda said: float(overlap(said.values, weight).mean()), columns=columns, of_sums=first_by_second)


def _class_score(place: int, weight: int) -> Score:
    def columns(said: Said) -> Array:
        return np.asarray(said.values[:, place])

    return Score(
        lambda said: float(overlap(columns(said).sum(axis=0), weight)),
        columns=columns,
        of_sums=lambda sums: overlap(sums, weight),
    )


def _outline_score(what: int, classes: slice) -> Score:
    """Of outlines: the mean over images that have the class in truth or answer, then over classes."""

    def columns(said: Said) -> Array:
        if said.surfaces is None:
            raise UnknownError("predictions/surfaces/test.csv is not there")
        values = said.surfaces[:, classes, what]
        return np.concatenate([np.nan_to_num(values), ~np.isnan(values)], axis=1).astype(float)

    def of_sums(sums: Array) -> Array:
        totals, counts = np.split(sums, 2, axis=1)
        occurs = counts > 0.5
        means = np.where(occurs, totals / np.maximum(counts, 1), 0).sum(axis=1) / np.maximum(occurs.sum(axis=1), 1)
        nothing = ~occurs.any(axis=1)
        return np.where(nothing, float(what) if nothing.all() else np.nan, means)

    def whole(said: Said) -> float:
        return float(of_sums(columns(said).sum(axis=0)[None])[0])

    return Score(whole, columns=columns, of_sums=of_sums, is_share=what == 1)


_OUTLINES = ("hd95", "surface_dice")

_SCORES = {
    "iou": _pooled_score(1),
    "f1": _pooled_score(2),
    "iou_per_image": _image_score(1),
    "f1_per_image": _image_score(2),
    **{name: _outline_score(what, slice(None)) for what, name in enumerate(_OUTLINES)},
}


def mask_score(key: str, classes: Sequence[str]) -> Score:
    """The score of a key.

    Args:
        classes: names of all, background first.

    Raises:
        UnknownError: it is not known here, or cannot be had from what is kept.
    """
    if key in _SCORES:
        return _SCORES[key]
    if key.startswith("fidelity."):
        raise UnknownError("of masks, predictions/ keeps no pixels against the teacher's")
    name, _, of = key.partition(".")
    if name in ("iou", "f1") and of in classes[1:]:
        return _class_score(list(classes).index(of) - 1, 1 if name == "iou" else 2)
    if name in _OUTLINES and of in classes[1:]:
        place = list(classes).index(of) - 1
        return _outline_score(_OUTLINES.index(name), slice(place, place + 1))
    raise UnknownError("a measure that is not known here, such as one of the user's own")
