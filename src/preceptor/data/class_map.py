"""Data of another place, where classes are called otherwise: its names in the words of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from preceptor.data.packed import open_packed
from preceptor.data.prepare import Prepared
from preceptor.errors import UserError
from preceptor.yaml_text import read_yaml_file

ClassMap = Mapping[str, str | None]
"""A class of the data -> one of the run, or None where its images are left out."""


def read_class_map(path: Path) -> ClassMap:
    """A YAML file with a line ``their name: our name`` for each class of the data; ``null`` leaves a class out.

    Raises:
        UserError: it is something else.
    """
    found = read_yaml_file(path, f"--map {path}")
    if not isinstance(found, dict) or not found:
        raise UserError(f"--map {path}: lines of `name in the data: name in the run` were wanted")
    return {str(name): None if to is None else str(to) for name, to in found.items()}


def labels_by(classes: Sequence[str], wanted: Sequence[str], names: ClassMap, what: str) -> list[int | None]:
    """For each class of the data the label of the run's, None where its images are left out.

    Raises:
        UserError: a class that is not mapped, or mapped to none of the run's.
    """
    if unknown := [name for name in names if name not in classes]:
        raise UserError(f"--map names {unknown[0]!r}, which is no class of {what}: it has {', '.join(classes)}")
    if missing := [name for name in classes if name not in names]:
        raise UserError(
            f"--map says nothing of class {missing[0]!r} of {what}; add a line for it, or `{missing[0]}: null`"
        )
    if wrong := [to for to in names.values() if to is not None and to not in wanted]:
        raise UserError(f"--map leads to {wrong[0]!r}, and the network knows {', '.join(wanted)}")
    return [None if (to := names[name]) is None else list(wanted).index(to) for name in classes]


def with_classes(prepared: Prepared, wanted: Sequence[str], names: ClassMap) -> Prepared:
    """``prepared`` with the classes ``wanted``, and without the images of classes that are left out.

    Raises:
        UserError: as :func:`labels_by`; masks, or nothing left.
    """
    packed = prepared.packed
    if packed.task != "classification":
        raise UserError("--map is for classes of images, and this run makes masks; leave it out")
    labels = labels_by(packed.classes, wanted, names, packed.source)
    now = np.array([-1 if label is None else label for label in labels])[packed.frame["label"].to_numpy(dtype=np.int64)]
    if not (now >= 0).any():
        raise UserError("--map leaves no image over")
    other = open_packed(packed.folder)
    other.classes, other.frame = tuple(wanted), packed.frame.assign(label=np.maximum(now, 0))
    return replace(prepared, packed=other, rows={part: rows[now[rows] >= 0] for part, rows in prepared.rows.items()})
