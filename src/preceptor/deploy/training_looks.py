"""What the images of a run's training look like, and how many of its validation are unlike them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from preceptor.data.prepare import Prepared
from preceptor.data.sources import open_source
from preceptor.deploy.held_out import spread_evenly
from preceptor.deploy.looks import Looks, Ranges, looks_of
from preceptor.specs import DataSpec

MOST = 256
"""Images of each part that are looked at."""

_SIZES = frozenset({"short side", "long side"})


def training_ranges(prepared: Prepared, spec: DataSpec) -> tuple[Ranges, dict[str, Any]]:
    """The ranges of training, and what ``bundle.json`` says of them.

    Args:
        spec: of the run's data. The sizes of whole images are those of their files.
    """
    is_cut = "parent" in prepared.packed.frame  # images of any size are cut into tiles
    in_training, in_validation = (_looks(prepared, spec, part) for part in ("train", "validation"))
    ranges = Ranges.around(in_training, but=_SIZES if is_cut else frozenset())
    outside = sum(bool(ranges.left(looks)) for looks in in_validation)
    seen = {"training": len(in_training), "validation": len(in_validation), "validation_outside": outside}
    return ranges, {**ranges.to_json(), "seen": seen}


def _looks(prepared: Prepared, spec: DataSpec, part: str) -> list[Looks]:
    packed, rows = prepared.packed, prepared.rows[part]
    if "parent" not in packed.frame:
        chosen = spread_evenly(rows, MOST)
        sizes = _sizes(prepared, spec, chosen)
        return [looks_of(list(packed.read(chosen[at : at + 1])[0]), sizes[at]) for at in range(len(chosen))]
    if packed.task == "classification":
        return [looks_of(list(packed.read(np.array([row]))[0]), packed.size) for row in spread_evenly(rows, MOST)]
    parents = packed.frame["parent"].to_numpy(dtype=object)[rows]
    starts = np.flatnonzero(np.r_[True, parents[1:] != parents[:-1]])
    images = np.split(rows, starts[1:])
    return [
        looks_of(list(packed.read(images[at])[0]), packed.size) for at in spread_evenly(np.arange(len(images)), MOST)
    ]


def _sizes(prepared: Prepared, spec: DataSpec, rows: NDArray[np.int64]) -> list[tuple[int, ...]]:
    """(height, width) of the images of some rows, as their files have them."""
    table = open_source(spec.source, spec.path, spec.options, spec)
    place = {name: at for at, name in enumerate(table.frame["id"].tolist())}
    names = prepared.packed.frame["id"].to_numpy(dtype=object)[rows]
    return [table.read(place[name])[0].shape[:2] for name in names]
