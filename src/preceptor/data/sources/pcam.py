"""PatchCamelyon: 327,680 lymph node patches of 96 px in HDF5 files, with official parts.

Veeling et al. 2018, arXiv:1806.03962; doi:10.5281/zenodo.2546921 (CC0). A patch is positive where the
central 32 x 32 pixels hold tumour.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from preceptor.data.images import MOST_PIXELS
from preceptor.data.samples import Pixels, SampleTable, sample_frame
from preceptor.data.sources._hdf5 import dataset, open_dataset
from preceptor.data.sources._layout import contents, entries, folder_at, refuse
from preceptor.data.sources._tables import read_table
from preceptor.errors import UserError
from preceptor.opening import no_file
from preceptor.quoting import quoted, shown

PARTS = {"train": "train", "valid": "validation", "test": "test"}
PREFIX = "camelyonpatch_level_2_split"
MOST_IMAGES = 20_000_000
"""Of one file: 60 times PatchCamelyon."""


def pcam(path: Path) -> SampleTable:
    """``camelyonpatch_level_2_split_{train,valid,test}_{x,y}.h5`` and, for the slides, ``…_meta.csv``.

    Parts that are not there are left out; the training part must be.
    """
    root = folder_at(path, "pcam")
    files = entries(root)[1]
    parts = [part for part in PARTS if f"{PREFIX}_{part}_x.h5" in files]
    if "train" not in parts:
        packed = [name for name in files if name.startswith(PREFIX) and name.endswith(".h5.gz")]
        hint = (
            f"unpack the archives with: gunzip {PREFIX}_*.h5.gz"
            if packed
            else f"{PREFIX}_{{train,valid,test}}_{{x,y}}.h5"
        )
        raise refuse("pcam", root, contents(root), hint)
    ids, splits = [], []
    labels, images, groups = [], [], []
    for part in parts:
        x, y, meta = (root / f"{PREFIX}_{part}_{kind}" for kind in ("x.h5", "y.h5", "meta.csv"))
        count = _count(x)
        truth = _labels(y, count)
        ids += [f"{part}_{number:06d}" for number in range(count)]
        images += [f"{x.name}[{number}]" for number in range(count)]
        labels.append(truth)
        splits += [PARTS[part]] * count
        groups.append(_slides(meta, count))
    known = all(slides is not None for slides in groups)
    reader = _Hdf5Reader(
        tuple(str(root / f"{PREFIX}_{part}_x.h5") for part in parts),
        tuple(int(end) for end in np.cumsum([len(truth) for truth in labels])),
    )
    notes = [] if known else ["The _meta.csv files that name the slides are not there: slides cannot be kept together."]
    notes += [f"The official {PARTS[part]} part is not there." for part in PARTS if part not in parts]
    return SampleTable(
        source="pcam",
        task="classification",
        classes=("normal", "tumour"),
        frame=sample_frame(
            ids,
            images,
            labels=np.concatenate(labels),
            groups=[slide for slides in groups for slide in slides or []] if known else None,
            splits=splits,
        ),
        read=reader,
        grouping="slide" if known else None,
        files=reader.files,
        notes=tuple(notes),
        read_besides=tuple(str(root / f"{PREFIX}_{part}_{kind}") for part in parts for kind in ("y.h5", "meta.csv")),
    )


class _Hdf5Reader:
    """Reads row n from several HDF5 files laid end to end; opens each once per process.

    Args:
        paths: the files, each with a data set ``x`` of shape (N, H, W, 3).
        ends: the row after the last one of each file.
    """

    def __init__(self, paths: tuple[str, ...], ends: tuple[int, ...]) -> None:
        self.paths = paths
        self.ends = ends
        self._open: dict[tuple[int, str], Any] = {}

    def __call__(self, row: int) -> tuple[Pixels, None]:
        path, inside = self._locate(row)
        try:
            values = self._dataset(path)[inside]
        except (OSError, RuntimeError) as error:
            raise UserError(f"image {inside} of {quoted(path)} cannot be read: {shown(error)}") from None
        return np.ascontiguousarray(values, dtype=np.uint8), None

    def files(self, row: int) -> tuple[str, ...]:
        """The HDF5 file that holds the row."""
        return (self._locate(row)[0],)

    def __getstate__(self) -> dict[str, Any]:
        return {"paths": self.paths, "ends": self.ends, "_open": {}}

    def _locate(self, row: int) -> tuple[str, int]:
        number = int(np.searchsorted(self.ends, row, side="right"))
        return self.paths[number], row - (self.ends[number - 1] if number else 0)

    def _dataset(self, path: str) -> Any:
        key = (os.getpid(), path)  # HDF5 handles must not cross a fork
        if key not in self._open:
            self._open[key] = open_dataset(path, "x", "pcam")
        return self._open[key]


def _count(x: Path) -> int:
    with dataset(x, "x", "pcam") as found:
        shape, dtype = found.shape, found.dtype
    if len(shape) != 4 or shape[3] != 3 or 0 in shape or dtype != np.uint8:
        raise refuse("pcam", x, f"a data set x of shape {shape}, {dtype}", "x of shape (N, 96, 96, 3), uint8")
    if shape[1] * shape[2] > MOST_PIXELS or shape[0] > MOST_IMAGES:
        raise UserError(
            f"pcam: {x.name} claims {shape[0]:,} images of {shape[1]} x {shape[2]} pixels: too many to believe"
        )
    return int(shape[0])


def _labels(y: Path, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    with dataset(y, "y", "pcam") as found:
        shape, dtype = found.shape, found.dtype
        if dtype.kind not in "bui" or not shape or int(np.prod(shape, dtype=object)) != shape[0]:
            wanted = "one label per image, whole numbers of shape (N, 1, 1, 1)"
            raise refuse("pcam", y, f"a data set y of shape {shape}, {dtype}", wanted)
        if shape[0] != count:
            raise UserError(
                f"pcam: {y.name} has {shape[0]} labels, its images are {count}: they must be equal; fetch both again"
            )
        try:
            labels = np.asarray(found[...]).reshape(-1).astype(np.int64)
        except (OSError, RuntimeError) as error:
            raise UserError(f"pcam: {quoted(y)} cannot be read: {shown(error)}") from None
    if not np.isin(labels, (0, 1)).all():
        raise refuse("pcam", y, f"labels {np.unique(labels)[:8].tolist()}", "0 and 1")
    return labels


def _slides(meta: Path, count: int) -> list[str] | None:
    """The slide of each image, or None where the file is not there."""
    if no_file(meta) == "does not exist":
        return None
    table = read_table(meta).rows
    if "wsi" not in table.columns or len(table) != count:
        raise refuse(
            "pcam", meta, f"{len(table)} rows, columns {', '.join(table.columns)}", f"{count} rows and a column wsi"
        )
    return [str(slide) for slide in table["wsi"]]
