"""A smaller part of all images, or of the training part: some of them, a share, or some of each class.

Random numbers belong to ids, so the order of the rows does not matter, and more contains less.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.data.samples import SampleTable
from preceptor.errors import UserError
from preceptor.randomness import key, keys, uniforms
from preceptor.specs import SubsetSpec


def subset(frame: pd.DataFrame, fraction: float, *, seed: int) -> NDArray[np.int64]:
    """Positions of a stratified share of the rows, at least one per class, in order.

    A smaller fraction with one seed is contained in a larger one.
    """
    rank, size = _class_ranks(frame, seed)
    return np.flatnonzero(rank < np.maximum(1, np.rint(fraction * size)))


def few_shot(
    frame: pd.DataFrame, per_class: int, *, seed: int, classes: Sequence[str] = (), option: str = "split.shots"
) -> NDArray[np.int64]:
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
    if few and labels[0] < 0:
        raise UserError(
            f"{option}: {per_class} images were asked for, but the training part has {int(size.min())}; ask for at "
            "most so many"
        )
    if few:
        raise UserError(
            f"{option}: {per_class} images per class were asked for, but of the training images class "
            f"{', '.join(few)}; ask for at most {int(size.min())}"
        )
    return np.flatnonzero(np.isin(names, names[first][rank < per_class]))


def drawn(table: SampleTable, spec: SubsetSpec) -> SampleTable:
    """``spec.count`` random images of a table, in its order, with a note that says so; fewer are contained in more.

    Raises:
        UserError: there are not so many, in all or of a class, or the classes cannot have equally many.
    """
    frame, classes = table.frame, sorted(set(table.frame["label"].tolist()))
    if spec.balanced and table.task == "segmentation":
        raise UserError("data.subset.balanced: masks have no class per image to balance by. Leave balanced out.")
    if spec.count > len(frame):
        raise UserError(f"data.subset.count: {spec.count} images are wanted, but there are {len(frame)}")
    each = f"data.subset.count: {spec.count} images of {len(classes)} classes, balanced"
    if spec.balanced and spec.count % len(classes):
        raise UserError(f"{each}: give a multiple of {len(classes)}, such as {spec.count - spec.count % len(classes)}")
    share = spec.count // len(classes)
    by = "label" if spec.balanced else None
    rank, size = _ranks(frame, spec.seed, by)
    if spec.balanced and int(size.min()) < share:
        few = class_name(int(frame["label"].iloc[int(size.argmin())]), table.classes)
        most = int(size.min()) * len(classes)
        raise UserError(f"{each}, are {share} of each, but class {few!r} has {int(size.min())}; ask for at most {most}")
    rows = np.flatnonzero(rank < (share if spec.balanced else spec.count))
    what = f", {share} of each class," if spec.balanced else ""
    note = f"{spec.count} of {len(frame)} images{what} were drawn before the split (data.subset, seed {spec.seed})."
    return replace(table.take(rows), notes=(*table.notes, note))


def class_name(label: int, classes: Sequence[str]) -> str:
    """How messages call the class of a label, which is below 0 where the label is a mask."""
    return classes[label] if 0 <= label < len(classes) else ("mask" if label < 0 else str(label))


def _class_ranks(frame: pd.DataFrame, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each row, its random rank inside its class, and the size of the class."""
    return _ranks(frame, seed, "label")


def _ranks(frame: pd.DataFrame, seed: int, by: str | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each row, its random rank among those of equal ``by``, or among all, and how many these are."""
    draw = uniforms(key(seed, "subset"), keys([str(name) for name in frame["id"]]), 1)[:, 0]
    grouped = pd.Series(draw).groupby(np.zeros(len(frame)) if by is None else frame[by].to_numpy())
    rank = np.asarray(grouped.rank(method="first")).astype(np.int64) - 1
    return rank, np.asarray(grouped.transform("size")).astype(np.int64)
