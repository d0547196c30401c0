"""What the networks of a run said, read from its files as a stranger would read them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.errors import UserError
from preceptor.runs.files import RunFiles, config_of
from preceptor.yaml_text import read_yaml_file

Array = NDArray[Any]

CHOSEN = "chosen"
"""In the place of a network's name: the one that each run chose."""

_PIXELS = ["tp", "fp", "fn", "tn"]
_OUTLINES = ["hd95", "surface_dice"]


class UnknownError(Exception):
    """Why a number cannot be computed again."""


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What one network says of some samples.

    Args:
        labels: (N,) classes; None for masks.
        values: (N, C) probabilities, or (N, K, 4) pixels of each foreground class.
        teacher: (N, C) what the teacher says; None where it was not asked, and for masks.
        surfaces: (N, K, 2) distance and surface Dice of outlines; None where they were not measured.
    """

    ids: Sequence[str]
    labels: Array | None
    values: Array
    teacher: Array | None = None
    surfaces: Array | None = None


@dataclass(frozen=True, eq=False)
class RunRead:
    """One run folder, and what the report calls it."""

    folder: Path
    name: str
    _read: dict[tuple[str, str], Said] = field(default_factory=dict)

    @property
    def _files(self) -> RunFiles:
        return RunFiles(self.folder)

    @cached_property
    def recipe(self) -> Mapping[str, Any]:
        """With which it was trained."""
        try:
            found = read_yaml_file(self._files.recipe, str(self._files.recipe))
        except OSError as error:
            raise UserError(
                f"{self._files.recipe} cannot be read ({error.strerror}), and the report has numbers of this run; "
                "verify where the runs lie, or write the report anew"
            ) from None
        return found if isinstance(found, dict) else {}

    @cached_property
    def result(self) -> Mapping[str, Any]:
        """What it said it came to; only names are taken from it, no numbers."""
        try:
            found = json.loads(self._files.result.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{self._files.result} cannot be read: {error}") from None
        return found if isinstance(found, dict) else {}

    @cached_property
    def classes(self) -> Sequence[str]:
        """Names of the classes as its exported networks know them."""
        for network in self._files.exported():
            config = json.loads(config_of(network).read_text(encoding="utf-8"))
            return [str(name) for name in config.get("label_names") or ()]
        return ()

    def name_of(self, network: str) -> str:
        """The network, where it is the chosen one by its own name."""
        if network != CHOSEN:
            return network
        found = self.result.get("chosen")
        if found in (self.result.get("parameters") or {}) and found in (self.result.get("validation") or {}):
            return str(found)
        raise UnknownError("an older version chose an ensemble")

    def part(self, part: str) -> Mapping[str, pd.DataFrame]:
        """Network -> rows of ``predictions/PART.csv``."""
        return self._test if part == "test" else self._validation

    @cached_property
    def _test(self) -> Mapping[str, pd.DataFrame]:
        return _frames(self._files.predictions_of("test"))

    @cached_property
    def _validation(self) -> Mapping[str, pd.DataFrame]:
        return _frames(self._files.predictions_of("validation"))

    @cached_property
    def _outlines(self) -> Mapping[str, pd.DataFrame]:
        return _frames(self._files.surfaces_of("test"))

    @cached_property
    def groups(self) -> Mapping[str, str] | None:
        """Sample or image -> group by ``split.csv``; None where one is not known."""
        try:
            table = pd.read_csv(self._files.split, dtype=str, keep_default_na=False)
        except OSError:
            return None
        if (table["group"] == "").any() or (table["group"] == "nan").any():
            return None
        whole = {str(name): str(group) for name, group in zip(table["id"], table["group"], strict=True)}
        return {name.split("@")[0]: group for name, group in whole.items()} | whole

    def said(self, network: str, part: str = "test") -> Said:
        """What a network says of a part."""
        if (network, part) not in self._read:
            self._read[network, part] = self._said(network, part)
        return self._read[network, part]

    def _said(self, network: str, part: str) -> Said:
        frames, name = self.part(part), self.name_of(network)
        if not frames:
            raise UnknownError(f"predictions/{part}.csv is not there")
        if name not in frames:
            raise UnknownError(f"predictions/{part}.csv does not hold the network")
        rows = frames[name]
        if "label" not in rows:
            return _of_masks(rows, self._outlines.get(name) if part == "test" else None)
        columns = [str(column) for column in rows if str(column).startswith("p_")]
        ids = [str(one) for one in rows["id"]]
        teacher = None
        if "T" in frames and name != "T":
            other = frames["T"]
            if [str(one) for one in other["id"]] != ids:
                raise UnknownError("teacher and student answered for different samples")
            teacher = other[columns].to_numpy(dtype=float)
        return Said(ids, rows["label"].to_numpy(dtype=int), rows[columns].to_numpy(dtype=float), teacher)


def _frames(path: Path) -> Mapping[str, pd.DataFrame]:
    try:
        table = pd.read_csv(path, dtype={"id": str, "network": str}, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{path} is no readable table: {error}") from None
    return {str(name): rows.reset_index(drop=True) for name, rows in table.groupby("network", sort=False)}


def _of_masks(rows: pd.DataFrame, outlines: pd.DataFrame | None) -> Said:
    ids, counts = _by_class(rows, _PIXELS)
    if outlines is None:
        return Said(ids, None, counts)
    others, surfaces = _by_class(outlines, _OUTLINES)
    if others != ids:
        raise UnknownError("predictions/surfaces/test.csv is of other images than predictions/test.csv")
    return Said(ids, None, counts, surfaces=surfaces)


def _by_class(rows: pd.DataFrame, columns: list[str]) -> tuple[list[str], Array]:
    """Names of the images, and (N, K, M) what the columns say of each and of each class."""
    blocks = [rows[rows["class"] == number] for number in sorted(rows["class"].unique())]
    values = [block[columns].to_numpy(dtype=float) for block in blocks]
    return [str(one) for one in blocks[0]["id"]], np.stack(values, axis=1)


@dataclass(frozen=True, eq=False)
class Whole:
    """The folds of one seed together; mostly a single run."""

    folds: Sequence[RunRead]

    def said(self, network: str) -> Said:
        """What a network of each fold says of its test part, one below the other."""
        parts = [fold.said(network) for fold in self.folds]
        labels = [part.labels for part in parts if part.labels is not None]
        teachers = [part.teacher for part in parts if part.teacher is not None]
        outlines = [part.surfaces for part in parts if part.surfaces is not None]
        return Said(
            [name for part in parts for name in part.ids],
            np.concatenate(labels) if labels else None,
            np.concatenate([part.values for part in parts]),
            np.concatenate(teachers) if len(teachers) == len(parts) else None,
            np.concatenate(outlines) if len(outlines) == len(parts) else None,
        )

    @property
    def teacher(self) -> str | None:
        """The folder or weights that its frozen teacher comes from, where the recipe names one."""
        found = (self.folds[0].recipe.get("technique") or {}).get("teacher")
        return None if found is None else str(found)


def groups_of(seeds: Sequence[Whole], ids: Sequence[str]) -> list[str] | None:
    """The group of every sample; None where one is not known."""
    known: dict[str, str] = {}
    for fold in (fold for whole in seeds for fold in whole.folds):
        if fold.groups is None:
            return None
        known |= {name: group for name, group in fold.groups.items() if name not in known}
    return [known[name] for name in ids] if all(name in known for name in ids) else None
