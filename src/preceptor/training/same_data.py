"""A run, what it goes on from and whom it learns from must agree on which images are for testing."""

import io
from pathlib import Path

import pandas as pd

from preceptor.data.prepare import Prepared
from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.networks.build_classifier import LOCAL
from preceptor.networks.export import CONFIG
from preceptor.recipe import Recipe, load_recipe
from preceptor.runs.begun import read_split, require_same_data
from preceptor.specs import NetworkSpec
from preceptor.techniques.context import teacher_weights


def require_same_split(run: Path, prepared: Prepared) -> None:
    """Refuse to look at a run's parts of data that have changed since it began.

    Raises:
        UserError: they have, or ``split.csv`` of the run is damaged.
    """
    require_same_data(run, prepared.packed.fingerprint, prepared.split_csv())


def require_unseen(recipe: Recipe, prepared: Prepared) -> None:
    """Refuse a teacher, or weights to start from, of a run that trained on images which are validation or test here.

    Raises:
        UserError: how many, and how to split alike.
    """
    given = {"technique.teacher": getattr(recipe.technique, "teacher", None)}
    for number, snapshot in enumerate(getattr(recipe.technique, "snapshots", ()), start=1):
        given[f"technique.snapshots, number {number}"] = snapshot
    for number, teacher in enumerate(getattr(recipe.technique, "teachers", ()), start=1):
        given[f"technique.teachers, number {number}"] = teacher
    for name, spec in _taking_part(recipe).items():
        given[f"networks, weights of {name}"] = _from_disk(spec)
    for option, weights in given.items():
        if weights:
            _require_unseen_by(weights, option, recipe, prepared)


def _taking_part(recipe: Recipe) -> dict[str, NetworkSpec]:
    """The networks of a recipe that its technique uses."""
    networks, technique = recipe.networks, recipe.technique
    teachers = networks.teachers or ((networks.teacher,) if networks.teacher else ())
    found = {f"T{k}" if networks.teachers else "T": one for k, one in enumerate(teachers, start=1)}
    is_teacher_alone = getattr(technique, "network", "student") == "teacher"
    return {**(found if technique.has_teacher else {}), **({} if is_teacher_alone else networks.peers)}


def _from_disk(spec: NetworkSpec) -> str | None:
    """The file or folder that a network starts from, if any."""
    given = spec.weights
    if given == "imagenet" and spec.architecture.startswith(LOCAL):
        given = spec.architecture.removeprefix(LOCAL)
    path = expand(given)
    return given if path.is_file() or (path / CONFIG).is_file() else None


def _require_unseen_by(given: str, option: str, recipe: Recipe, prepared: Prepared) -> None:
    above = teacher_weights(given, option).absolute().parents
    run = next((p for p in above if (p / "split.csv").exists() and (p / "recipe.yaml").exists()), None)
    if run is None:
        return
    theirs, _ = load_recipe(run / "recipe.yaml")
    if (theirs.data.source, theirs.data.path, theirs.data.options) != (
        recipe.data.source,
        recipe.data.path,
        recipe.data.options,
    ):
        return
    their_split, mine = (
        pd.read_csv(io.BytesIO(read_split(run)), dtype=str),
        pd.read_csv(io.StringIO(prepared.split_csv()), dtype=str),
    )
    seen = set(their_split.loc[their_split["split"] == "train", "id"])
    leaked = seen & set(mine.loc[mine["split"] != "train", "id"])
    if leaked:
        raise UserError(
            f"{option}: {given!r} was trained on {len(leaked)} images that are validation or test here, for "
            f"example {min(leaked)}.\nGive both recipes the same split.seed, or train those weights on this split."
        )
