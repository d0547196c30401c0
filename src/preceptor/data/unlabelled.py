"""Images without a label: where none is read, where some lack theirs, and where some are hidden on purpose.

In a table of classes a label of -1 says that none is known; in one of masks every label is -1.
"""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.data.images import FileReader
from preceptor.data.packed import PackedSet
from preceptor.data.samples import SampleTable, sample_frame
from preceptor.data.sources import open_source
from preceptor.data.subsets import few_shot, subset
from preceptor.errors import UserError
from preceptor.specs import DataSpec, LabelsSpec

UNKNOWN = -1
"""The label of an image that has none."""

_OF_LABELS = ("mask", "rle", "rle_class", "rle_order", "class_name", "classes", "mask_folder", "mask_file", "spellings")


def is_known(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows have a label; all where none has one, as with masks and where labels are not read."""
    found: NDArray[np.bool_] = (frame["label"] >= 0).to_numpy()
    return found if found.any() else ~found


def options_without_labels(source: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a source by which it reads no label, where there are such."""
    if source != "table":
        return dict(options)
    return {name: value for name, value in options.items() if name not in _OF_LABELS} | {"label": []}


def without_labels(table: SampleTable) -> SampleTable:
    """``table`` as if nobody had labelled it: no classes, no masks, nothing that depends on them."""
    frame = table.frame.assign(label=UNKNOWN, mask=None)
    changed = replace(table, task="classification", classes=(), frame=frame, ignores=False)
    if isinstance(table.read, FileReader):
        reader = replace(table.read, masks=None, runs=None, second=None)
        return replace(changed, read=reader, files=reader.files)
    return replace(changed, read=lambda row: (table.read(row)[0], None))


def with_more(table: SampleTable, path: str, spec: DataSpec) -> SampleTable:
    """``table`` and the images below ``path``, which have no label; their ids begin with ``unlabelled/``.

    Raises:
        UserError: masks are learned, or there is no image at ``path``.
    """
    if table.task != "classification":
        raise UserError("data.unlabelled: images without masks cannot be added to images with masks; leave it out")
    more = open_source("images", path, {}, spec)
    ids = [f"unlabelled/{name}" for name in more.frame["id"]]
    groups = [None if group is None else str(group) for group in more.frame["group"]]
    if table.frame["group"].notna().any():  # an image of nobody known is one of its own
        groups = [name if group is None else group for name, group in zip(ids, groups, strict=True)]
    first = len(table)
    mine = sample_frame(ids, more.frame["image"].tolist(), groups=groups if any(groups) else None)
    frame = pd.concat([table.frame, mine], ignore_index=True)
    note = f"{len(more)} images of data.unlabelled have no label."
    return replace(
        table,
        frame=frame,
        read=lambda row: table.read(row) if row < first else more.read(row - first),
        files=lambda row: table.files(row) if row < first else more.files(row - first),
        identity=table.identity or "with unlabelled images",
        notes=(*table.notes, *more.notes, note),
    )


def conflicting(frame: pd.DataFrame, kept: pd.Index) -> NDArray[np.bool_]:
    """Which rows of ``frame`` were kept though an image equal to them has another label."""
    if "pixels" not in frame.columns:
        return np.zeros(len(frame), dtype=bool)
    known = frame[(frame["label"] >= 0) & frame["pixels"].notna()]
    several = known.groupby("pixels")["label"].nunique()
    unclear = frame["pixels"].isin(several.index[several > 1]).to_numpy()
    return unclear & frame.index.isin(kept)


def placed(frame: pd.DataFrame, parts: "pd.Series[str]", *, by_group: bool) -> tuple["pd.Series[str]", str]:
    """The part of every row of ``frame``, where ``parts`` has those of rows with a label, and a note.

    Rows without one are trained on, but for those of a group, or with pixels, of the validation or test part.
    """
    found = pd.Series("train", index=frame.index, dtype=object)
    found[parts.index] = parts
    rest = ~frame.index.isin(parts.index)
    held = frame.loc[parts.index[parts.isin(["validation", "test"])]]
    barred = np.zeros(len(frame), dtype=bool)
    for column in (["group"] if by_group else []) + (["pixels"] if "pixels" in frame.columns else []):
        barred |= frame[column].notna().to_numpy() & frame[column].isin(held[column].dropna()).to_numpy()
    if frame["split"].notna().any():
        barred |= (frame["split"].notna() & (frame["split"] != "train")).to_numpy()
    found[rest & barred] = "left out"
    out = int((rest & barred).sum())
    why = f"; {out} more are left out, being of a group or an image of the validation or test part" if out else ""
    return found, f"{int(rest.sum()) - out} images without a label are in the training part{why}."


def hidden(
    frame: pd.DataFrame, train: NDArray[np.int64], spec: LabelsSpec, seed: int, classes: tuple[str, ...]
) -> NDArray[np.int64]:
    """Those of the labelled rows ``train`` whose labels ``spec`` hides."""
    inside, own = frame.loc[train], seed if spec.seed is None else spec.seed
    if spec.per_class is not None:
        kept = few_shot(inside, spec.per_class, seed=own, classes=classes, option="split.labels.per_class")
    else:
        assert spec.fraction is not None, "one of them is given"
        kept = subset(inside, spec.fraction, seed=own)
    return np.setdiff1d(train, train[kept])


def relabelled(packed: PackedSet, unknown: NDArray[np.int64]) -> PackedSet:
    """The packed set in which the rows ``unknown`` have no label."""
    if not len(unknown):
        return packed
    labels = packed.frame["label"].to_numpy(dtype=np.int64).copy()
    labels[unknown] = UNKNOWN
    other = copy.copy(packed)
    other.frame = packed.frame.assign(label=labels)
    return other
