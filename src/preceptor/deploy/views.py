"""Test-time augmentation: the mean over mirrored and turned views of a piece."""

from collections.abc import Callable

import numpy as np

from preceptor.data.samples import Pixels
from preceptor.data.tiles import Logits
from preceptor.deploy.contract import Contract
from preceptor.deploy.engines import Engine, Floats
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


class Views:
    """An engine that says the mean over all views.

    Of masks it is the mean of the logits; of classes the logarithm of the mean probability, so that its softmax is
    that mean. The distance from training is that of the image as it is.
    """

    def __init__(self, engine: Engine, contract: Contract) -> None:
        self._engine = engine
        self._has_masks = contract.has_masks
        self._views = turns(square=contract.image_size[0] == contract.image_size[1])

    def __call__(self, pixels: Pixels) -> Logits:
        return self.with_distance(pixels)[0]

    def with_distance(self, pixels: Pixels) -> tuple[Logits, Floats | None]:
        """The mean, and the distance of the first view, which is the image."""
        said, distances = [], []
        for view, undo in self._views:
            logits, distance = self._engine.with_distance(np.ascontiguousarray(view(pixels, 1, 2)))
            said.append(undo(logits, 2, 3) if self._has_masks else logits)
            distances.append(distance)
        if self._has_masks:
            return np.asarray(np.mean(said, axis=0, dtype=np.float64), dtype=np.float32), distances[0]
        mean = np.mean([softmax(one, axis=1) for one in said], axis=0)
        return np.asarray(np.log(np.maximum(mean, 1e-30)), dtype=np.float32), distances[0]
