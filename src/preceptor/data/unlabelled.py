"""Images without a label: where none is read, where some lack theirs, and where some are hidden on purpose.

A label is a class or a mask. Of a class, -1 says that none is known; of masks, a column of its own does.
"""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.data.images import FileReader
from preceptor.data.packed import PackedSet
from preceptor.data.samples import KNOWN, UNKNOWN, Reader, SampleTable, is_known, sample_frame
from preceptor.data.sources import open_source, options_of_files
from preceptor.data.subsets import few_shot, subset
from preceptor.specs import DataSpec, LabelsSpec, Task

_OF_LABELS = ("mask", "rle", "rle_class", "rle_order", "class_name", "classes", "mask_folder", "mask_file", "spellings")


def options_without_labels(source: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a source by which it reads no label, where there are such."""
    if source != "table":
        return dict(options)
    return {name: value for name, value in options.items() if name not in _OF_LABELS} | {"label": []}


def without_labels(table: SampleTable) -> SampleTable:
    """``table`` as if nobody had labelled it: no classes, no masks, nothing that depends on them."""
    frame = as_if_labelled(table.frame, table.task).assign(label=UNKNOWN, mask=None)
    changed = replace(table, task="classification", classes=(), frame=frame, ignores=False)
    if isinstance(table.read, FileReader):
        reader = replace(table.read, masks=None, runs=None, second=None)
        return replace(changed, read=reader, files=reader.files)
    return replace(changed, read=lambda row: (table.read(row)[0], None))


def labelled(table: SampleTable) -> SampleTable:
    """Those samples of ``table`` that have a label, by which something can be scored, with a note on the others."""
    known = is_known(table.frame)
    if known.all():
        return table
    what = "label" if table.task == "classification" else "mask"
    note = f"{int((~known).sum())} images have no {what} and are not scored."
    some = table.take(np.flatnonzero(known))
    return replace(some, frame=some.frame.drop(columns=KNOWN, errors="ignore"), notes=(*table.notes, note))


def as_if_labelled(frame: pd.DataFrame, task: Task) -> pd.DataFrame:
    """``frame`` in which nothing tells images with a label from those without, nor one class from another."""
    return frame.assign(label=0) if task == "classification" else frame.drop(columns=KNOWN, errors="ignore")


def with_more(table: SampleTable, path: str, spec: DataSpec) -> SampleTable:
    """``table`` and the images below ``path``, which have no label; their ids begin with ``unlabelled/``.

    Their files become pixels as those of ``table`` do.

    Raises:
        UserError: there is no image at ``path``.
    """
    options = options_of_files(spec.options)
    more = open_source("images", path, options, spec)
    ids = [f"unlabelled/{name}" for name in more.frame["id"]]
    groups = [None if group is None else str(group) for group in more.frame["group"]]
    if table.frame["group"].notna().any():  # an image of nobody known is one of its own
        groups = [name if group is None else group for name, group in zip(ids, groups, strict=True)]
    first = len(table)
    mine = sample_frame(ids, more.frame["image"].tolist(), groups=groups if any(groups) else None)
    frame = pd.concat([table.frame, mine], ignore_index=True)
    if table.task == "segmentation":
        frame[KNOWN] = np.concatenate([is_known(table.frame), np.zeros(len(more), dtype=bool)])
    what = "label" if table.task == "classification" else "mask"
    note = f"{len(more)} images of data.unlabelled have no {what}."
    return replace(
        table,
        frame=frame,
        read=_one_after_the_other(table.read, more.read, first),
        files=lambda row: table.files(row) if row < first else more.files(row - first),
        identity="; ".join([table.identity or "with unlabelled images", *([more.identity] if options else [])]),
        notes=(*table.notes, *more.notes, note),
    )


def _one_after_the_other(read: Reader, more: Reader, first: int) -> Reader:
    """A reader of the rows of ``read``, of which there are ``first``, and then of those of ``more``, without labels.

    Of files, one that sees all of them: what it finds out of their values is of all.
    """
    if not (isinstance(read, FileReader) and isinstance(more, FileReader)):
        return lambda row: read(row) if row < first else more(row - first)
    count = len(more.images)
    return replace(
        read,
        images=read.images + more.images,
        masks=_followed(read.masks, None, (), (first, count)),
        runs=None if read.runs is None else read.runs.followed_by_none(count),
        second=_followed(read.second, None, (), (first, count)),
        places=_followed(read.places, more.places, None, (first, count)),
        unfit={**read.unfit, **{first + row: what for row, what in more.unfit.items()}},
    )


_T = TypeVar("_T")


def _followed(
    some: tuple[_T, ...] | None, more: tuple[_T, ...] | None, nothing: _T, counts: tuple[int, int]
) -> tuple[_T, ...] | None:
    """``some`` and then ``more``, ``nothing`` for each row of what is not there; None where neither is."""
    if some is None and more is None:
        return None
    return (some or (nothing,) * counts[0]) + (more or (nothing,) * counts[1])


def conflicting(frame: pd.DataFrame, kept: pd.Index) -> NDArray[np.bool_]:
    """Which rows of ``frame`` were kept though an image equal to them has another class, or mask (``mask_pixels``)."""
    if "pixels" not in frame.columns:
        return np.zeros(len(frame), dtype=bool)
    known = frame[is_known(frame) & frame["pixels"].notna()]
    several = known.groupby("pixels")["mask_pixels" if "mask_pixels" in frame.columns else "label"].nunique()
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
    """Those of the labelled rows ``train`` whose labels ``spec`` hides; masks are known, or not, of whole images."""
    inside, own = frame.loc[train], seed if spec.seed is None else spec.seed
    count = spec.count if spec.per_class is None else spec.per_class
    if count is not None:
        option = "split.labels.count" if spec.per_class is None else "split.labels.per_class"
        kept = few_shot(inside, count, seed=own, classes=classes, option=option)
    else:
        assert spec.fraction is not None, "one of them is given"
        kept = _share(inside, spec.fraction, own)
    return np.setdiff1d(train, train[kept])


def _share(inside: pd.DataFrame, fraction: float, seed: int) -> NDArray[np.int64]:
    """Positions of a share of the rows, of each class or of the images with masks."""
    if "parent" not in inside.columns or (inside["label"] >= 0).any():
        return subset(inside, fraction, seed=seed)
    parents = inside["parent"]
    images = inside[~parents.duplicated()]
    return np.flatnonzero(parents.isin(images["parent"].iloc[subset(images, fraction, seed=seed)]))


def relabelled(packed: PackedSet, unknown: NDArray[np.int64]) -> PackedSet:
    """The packed set in which the rows ``unknown`` have no label."""
    if not len(unknown):
        return packed
    other = copy.copy(packed)
    if packed.task == "classification":
        labels = packed.frame["label"].to_numpy(dtype=np.int64).copy()
        labels[unknown] = UNKNOWN
        other.frame = packed.frame.assign(label=labels)
    else:
        known = is_known(packed.frame).copy()
        known[unknown] = False
        other.frame = packed.frame.assign(**{KNOWN: known})
    return other
