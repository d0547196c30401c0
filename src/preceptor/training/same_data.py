"""A run, what it goes on from and whom it learns from must agree on which images are for testing."""

import io
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from preceptor.data.prepare import Prepared
from preceptor.data.samples import PARTS
from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.networks.export import CONFIG
from preceptor.plan.given import Given
from preceptor.plan.stage import Plan
from preceptor.recipe import load_recipe
from preceptor.runs.begun import require_same_data
from preceptor.runs.files import RunFiles, run_around
from preceptor.runs.names import PIXELS, SPLIT
from preceptor.runs.tables import read_split
from preceptor.specs import DataSpec
from preceptor.training.pixel_keys import ImageKeys, PixelKeys, no_keys, pixel_keys, read_pixel_keys, row_keys

_TILE = r"@\d+,\d+$"


def require_same_split(run: Path, prepared: Prepared) -> None:
    """Refuse to look at a run's parts of data that have changed since it began.

    Raises:
        UserError: they have, or ``split.csv`` of the run is damaged.
    """
    require_same_data(run, prepared.packed.fingerprint, prepared.split_csv())


@dataclass(frozen=True)
class SeenImages:
    """What the weights that a run begins with, or learns from, have seen.

    Args:
        keys: images that they were trained on, as far as that is known.
        notes: what could not be checked, one sentence each.
    """

    keys: ImageKeys = field(default_factory=no_keys)
    notes: tuple[str, ...] = ()


def require_unseen(plan: Plan, data: DataSpec, prepared: Prepared) -> SeenImages:
    """Refuse a teacher, or weights to start from, that know images which are validation or test here.

    Images are compared by their pixels, whatever they are called and wherever they lie.

    Raises:
        UserError: how many, and how to split alike.
    """
    mine = pixel_keys(prepared)
    seen, runs = SeenImages(), set()
    for given in filter(_there, plan.needs):
        path = given.weights
        run = _run_around(path)
        if (run or path) in runs:
            continue
        runs.add(run or path)
        found = _checked(f"{given.option}: {given.path!r}", run, data, prepared, mine)
        seen = SeenImages(np.union1d(seen.keys, found.keys), (*seen.notes, *found.notes))
    return seen


def write_pixel_keys(run: Path, prepared: Prepared, seen: SeenImages) -> None:
    """Leave in a run's folder which images it has, by their pixels."""
    pixel_keys(prepared, seen.keys).write(run)


def _there(given: Given) -> bool:
    """Whether weights that ``networks`` names are there; building the network tells where they are not."""
    path = expand(given.path)
    return given.option.startswith("technique.") or path.is_file() or (path / CONFIG).is_file()


def _run_around(weights: Path) -> Path | None:
    """The run folder in which weights lie, also where the path to them is a link."""
    return run_around(weights, (PIXELS, SPLIT))


def _checked(what: str, run: Path | None, data: DataSpec, prepared: Prepared, mine: PixelKeys) -> SeenImages:
    """What the networks of ``run`` have seen, or a note that it is not known."""
    unknown = "so it cannot be checked whether it has seen images that are validation or test here"
    if run is None:
        return SeenImages(notes=(f"{what} lies in no run folder ({PIXELS}, {SPLIT}), {unknown}.",))
    split, trouble = _split_of(run)
    try:
        theirs = read_pixel_keys(run)
    except ValueError as error:
        theirs, trouble = None, str(error)
    if theirs is not None:
        _refuse(what, _names(prepared, np.intersect1d(theirs.known, mine.held_out)))
        return SeenImages(theirs.known, (f"{what}: {trouble}; {PIXELS} alone was compared.",) if trouble else ())
    if split is None:
        return SeenImages(notes=(f"{what}: {trouble}, {unknown}.",))
    if not _is_same_place(run, data):
        place = "and its data is not known to be the same"
        return SeenImages(notes=(f"{what}: {trouble or f'there is no {PIXELS}'}, {place}, {unknown}.",))
    own = _without_tiles(pd.read_csv(io.StringIO(prepared.split_csv()), dtype=str))
    _refuse(what, set(split.loc[split["split"] == "train", "id"]) & set(own.loc[own["split"] != "train", "id"]))
    by_name = "so images were compared by their names alone: equal ones under other names would not be noticed"
    return SeenImages(notes=(f"{what}: {trouble or f'there is no {PIXELS}'}, {by_name}.",))


def _refuse(what: str, leaked: set[str]) -> None:
    if leaked:
        raise UserError(
            f"{what} was trained on {len(leaked)} images that are validation or test here, for example "
            f"{min(leaked)}.\nGive both recipes the same `split` (seed, fractions, stratify: a run without labels has "
            "`stratify: false`), or train those weights on this split."
        )


def _names(prepared: Prepared, leaked: ImageKeys) -> set[str]:
    """What the images of these keys are called in the held-out parts."""
    if not len(leaked):
        return set()
    rows = np.concatenate([prepared.every("validation"), prepared.every("test")])
    frame = prepared.packed.frame
    names = frame["parent" if "parent" in frame else "id"].to_numpy()[rows]
    return set(names[np.isin(row_keys(prepared)[rows], leaked)])


def _split_of(run: Path) -> tuple[pd.DataFrame | None, str | None]:
    """(id, split) of the samples of a run, tiles by their image; or what is wrong with the file."""
    try:
        table = read_split(run)
    except (OSError, UserError):
        return None, f"{SPLIT} is damaged"
    if table is None:
        return None, f"{SPLIT} is damaged" if RunFiles(run).split.exists() else f"there is no {SPLIT}"
    if not set(table["split"]) <= set(PARTS):
        return None, f"{SPLIT} is damaged"
    return _without_tiles(table[["id", "split"]]), None


def _without_tiles(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(id=table["id"].str.replace(_TILE, "", regex=True))


def _is_same_place(run: Path, data: DataSpec) -> bool:
    """Whether the recipe in ``run`` names this data, however its path is spelled."""
    try:
        theirs = load_recipe(RunFiles(run).recipe)[0].data
        if theirs.source != data.source:
            return False
        if theirs.path is None or data.path is None:
            return (theirs.path, theirs.options) == (data.path, data.options)
        return os.path.realpath(expand(theirs.path)) == os.path.realpath(expand(data.path))
    except UserError:  # no recipe, or of another version; a path with variables that are not set
        return False
