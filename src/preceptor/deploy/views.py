"""Test-time augmentation: the mean over mirrored and turned views of a piece."""

from collections.abc import Callable

import numpy as np

from preceptor.data.samples import Pixels
from preceptor.data.tiles import Logits
from preceptor.deploy.contract import Contract
from preceptor.deploy.engines import Engine
from preceptor.measures.temperature import softmax

Turn = Callable[[np.ndarray, int, int], np.ndarray]
"""(array, its axis of rows, its axis of columns) -> the array, turned."""


def turns(*, square: bool) -> list[tuple[Turn, Turn]]:
    """Each view and what undoes it: the four mirrorings, and where sides are equal the same of the transposed image."""
    mirrored = [(up, across) for up in (False, True) for across in (False, True)]
    return [_view(up, across, swap) for swap in ((False, True) if square else (False,)) for up, across in mirrored]


def _view(up: bool, across: bool, swap: bool) -> tuple[Turn, Turn]:
    def flipped(array: np.ndarray, rows: int, columns: int) -> np.ndarray:
        axes = tuple(axis for axis, wanted in ((rows, up), (columns, across)) if wanted)
        return np.flip(array, axes) if axes else array

    def swapped(array: np.ndarray, rows: int, columns: int) -> np.ndarray:
        return np.swapaxes(array, rows, columns) if swap else array

    return (lambda a, r, c: swapped(flipped(a, r, c), r, c)), (lambda a, r, c: flipped(swapped(a, r, c), r, c))


def with_views(engine: Engine, contract: Contract) -> Engine:
    """An engine that says the mean over all views.

    Of masks it is the mean of the logits; of classes the logarithm of the mean probability, so that its softmax is
    that mean.
    """
    views = turns(square=contract.image_size[0] == contract.image_size[1])

    def asked(pixels: Pixels) -> Logits:
        said = [undo_if_map(engine(np.ascontiguousarray(view(pixels, 1, 2))), undo) for view, undo in views]
        if contract.has_masks:
            return np.asarray(np.mean(said, axis=0, dtype=np.float64), dtype=np.float32)
        mean = np.mean([softmax(one, axis=1) for one in said], axis=0)
        return np.asarray(np.log(np.maximum(mean, 1e-30)), dtype=np.float32)

    def undo_if_map(logits: Logits, undo: Turn) -> Logits:
        return undo(logits, 2, 3) if contract.has_masks else logits

    return asked
