"""The sample table: what a source found, before anything is decoded."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.recipe import Task

Pixels = NDArray[np.uint8]
Reader = Callable[[int], tuple[Pixels, Pixels | None]]

COLUMNS = ("id", "image", "mask", "label", "group", "split")


@dataclass(frozen=True)
class SampleTable:
    """Every sample of a data set, one row each, in a stable order.

    Args:
        source: the key of the source that made it.
        task: classification or segmentation.
        classes: class names by label; for masks the names by pixel value, background first.
        frame: columns ``id`` (unique text), ``image`` and ``mask`` (where each came from, in the user's
            words; mask is None without one), ``label`` (int64, -1 for masks), ``group`` (text or None)
            and ``split`` (official part: ``train``, ``validation``, ``test``, or None).
        read: row number -> ((H, W, 3) uint8 image, (H, W) uint8 mask of class values or None).
        grouping: what a group is (``patient``, ``lesion``, ``slide`` …), or None where none is known.
        identity: what the pixels depend on besides files (options of a generator, of a reader).
        files: row number -> paths whose size and content identify the row; empty for generated data.
        notes: what the user should know about this data, one sentence each.
    """

    source: str
    task: Task
    classes: tuple[str, ...]
    frame: pd.DataFrame
    read: Reader
    grouping: str | None = None
    files: Callable[[int], tuple[str, ...]] = lambda row: ()
    identity: str = ""
    notes: tuple[str, ...] = field(default_factory=tuple)

    def __len__(self) -> int:
        return len(self.frame)
