"""Whether the parts of a split can serve: before training, not after it."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from preceptor.data.samples import Pixels
from preceptor.data.store import PackedSet
from preceptor.errors import UserError
from preceptor.recipe import Recipe
from preceptor.specs import IGNORED


def check_parts(recipe: Recipe, packed: PackedSet, rows: Mapping[str, NDArray[np.int64]]) -> None:
    """UserError where a part cannot serve: before training, not after it."""
    if not len(rows["train"]):
        what = "label, so nothing tells the classes apart" if recipe.task == "classification" else "mask to learn from"
        raise UserError(f"split: no image of the training part has a {what}")
    for part, use in (("validation", "weights are chosen on it"), ("test", "the result is measured on it")):
        if not len(rows[part]):
            raise UserError(
                f"split: the {part} part holds no image, but {use}; give it a share, for example "
                "split.fractions=[0.75, 0.10, 0.15]"
            )
    if recipe.is_label_free:
        return
    labels = packed.frame["label"].to_numpy()[rows["validation"]]
    monitored = recipe.monitored
    if monitored is None:
        _require_class(recipe.monitor, packed, rows["validation"])
    elif monitored.wants_two_classes and len(np.unique(labels)) < 2:
        raise UserError(
            f"training.monitor {monitored.name}: the validation part holds only class {packed.classes[labels[0]]!r}, "
            f"{monitored.name} needs two.\n"
            f"Use monitor: {next(iter(recipe.measures_known))}, other split.fractions, or another split.seed."
        )


def _require_class(monitor: str, packed: PackedSet, rows: NDArray[np.int64]) -> None:
    """UserError where the class whose score chooses weights is none of the data, or in no mask of validation."""
    classes, wanted = packed.classes[1:], monitor.partition(".")[2]
    if len(classes) == 1 or wanted not in classes:
        known = ", ".join(f"{monitor.partition('.')[0]}.{name}" for name in classes) if len(classes) > 1 else "iou, f1"
        raise UserError(f"training.monitor: these masks have {known}, got {monitor!r}")
    value = 1 + classes.index(wanted)
    assert packed.masks is not None
    masks = packed.masks
    if not any((masks[row] == value).any() for row in rows):
        raise UserError(
            f"training.monitor {monitor}: no mask of the validation part holds {wanted}, so it cannot choose weights.\n"
            "Use monitor: iou, other split.fractions, or another split.seed."
        )


def _has_foreground(mask: Pixels) -> bool:
    return bool(((mask > 0) & (mask != IGNORED)).any())


def require_foreground(packed: PackedSet, rows: Mapping[str, NDArray[np.int64]]) -> tuple[str, ...]:
    """A note where the validation or test masks have nothing to find. They are looked at up to the first that has.

    Raises:
        UserError: the training masks have nothing.
    """
    if packed.masks is None:
        return ()
    masks = packed.masks
    without = [part for part, those in rows.items() if not any(_has_foreground(masks[row]) for row in those)]
    if "train" in without:
        which = "every mask" if len(without) == len(rows) else "every mask of the training part"
        raise UserError(
            f"{packed.source}: {which} is empty: all pixels are {packed.classes[0]!r}, so there is no "
            f"{packed.classes[1]!r} to learn.\nCheck that these are the right masks and which value means what "
            "(`preceptor data inspect`), or use another split.seed if some have it."
        )
    return tuple(
        f"Every mask of the {part} part is empty, so a score there only says whether a network finds anything at all."
        for part in without
    )
