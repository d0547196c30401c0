"""A smaller part of the training part: a share of it, or some images of each class.

Random numbers belong to ids, so the order of the rows does not matter, and more contains less.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.errors import UserError
from preceptor.randomness import key, keys, uniforms


def subset(frame: pd.DataFrame, fraction: float, *, seed: int) -> NDArray[np.int64]:
    """Positions of a stratified share of the rows, at least one per class, in order.

    A smaller fraction with one seed is contained in a larger one.
    """
    rank, size = _class_ranks(frame, seed)
    return np.flatnonzero(rank < np.maximum(1, np.rint(fraction * size)))


def few_shot(frame: pd.DataFrame, per_class: int, *, seed: int, classes: Sequence[str] = ()) -> NDArray[np.int64]:
    """Positions of ``per_class`` random images of each class, in order; fewer shots are contained in more.

    Of an image that is cut into tiles (column ``parent``) all tiles are taken.

    Raises:
        UserError: a class has fewer images; the message says how many.
    """
    names = (frame["parent"] if "parent" in frame.columns else frame["id"]).to_numpy()
    first = ~pd.Series(names).duplicated().to_numpy()
    images = frame[first]
    rank, size = _class_ranks(images, seed)
    labels, counts = np.unique(images["label"].to_numpy(dtype=np.int64), return_counts=True)
    few = [
        f"{class_name(int(label), classes)!r} has {count}"
        for label, count in zip(labels, counts, strict=True)
        if count < per_class
    ]
    if few:
        raise UserError(
            f"split.shots: {per_class} images per class were asked for, but of the training images class "
            f"{', '.join(few)}; ask for at most {int(size.min())}"
        )
    return np.flatnonzero(np.isin(names, names[first][rank < per_class]))


def class_name(label: int, classes: Sequence[str]) -> str:
    """How messages call the class of a label, which is below 0 where the label is a mask."""
    return classes[label] if 0 <= label < len(classes) else ("mask" if label < 0 else str(label))


def _class_ranks(frame: pd.DataFrame, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each row, its random rank inside its class, and the size of the class."""
    draw = uniforms(key(seed, "subset"), keys([str(name) for name in frame["id"]]), 1)[:, 0]
    grouped = pd.Series(draw).groupby(frame["label"].to_numpy())
    rank = np.asarray(grouped.rank(method="first")).astype(np.int64) - 1
    return rank, np.asarray(grouped.transform("size")).astype(np.int64)
