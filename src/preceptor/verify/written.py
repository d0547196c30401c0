"""What a report wrote: its tables, and of which runs they are made."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from preceptor.errors import DamagedFileError, UserError
from preceptor.inside import inside
from preceptor.verify.answers import RunRead, Said, UnknownError, Whole
from preceptor.written_tables import SOURCES, TABLES

NUMBERS = ("±", "seeds", "low", "high", "published", "published ±")
"""What follows a column's name in CSV where it is measured."""


@dataclass(frozen=True, eq=False)
class Method:
    """A method of the report.

    Args:
        alone: the place of its students alone among the methods; None without.
        seeds: seed -> its run, or folds.
    """

    title: str
    kind: str
    labels: Mapping[str, str]
    alone: int | None
    seeds: Mapping[int, Whole]

    def said(self, network: str) -> list[Said]:
        """Of every seed on test; of the first where one frozen teacher serves all, for that has no spread."""
        wholes = list(self.seeds.values())
        if network == "T" and len({whole.teacher for whole in wholes} - {None}) == 1:
            wholes = wholes[:1]
        return [whole.said(network) for whole in wholes]


@dataclass(frozen=True, eq=False)
class Written:
    """The tables of one study.

    Args:
        network: of which verdicts are.
        networks: that are compared.
        metric: of which verdicts are.
        names: key of a score -> as it is printed.
        own: keys of the user's own measures.
        axes: of the results, down and across.
        columns: of the results: the headings of each, from top to bottom.
    """

    slug: str
    folder: Path
    title: str
    task: str
    network: str
    networks: Sequence[str]
    metric: str
    tabled: Sequence[str]
    names: Mapping[str, str]
    own: frozenset[str]
    axes: tuple[Sequence[str], Sequence[str]]
    columns: Sequence[Sequence[str]]
    methods: Sequence[Method]

    @cached_property
    def keys(self) -> Mapping[str, str]:
        """As a score is printed -> its key."""
        return {name: key for key, name in reversed(list(self.names.items()))}

    def key(self, name: str) -> str:
        """The key of a score that is printed so.

        Raises:
            UnknownError: there is none.
        """
        if name not in self.keys:
            raise UnknownError("a score that is not known here")
        return self.keys[name]

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes, by the first run that knows them."""
        folds = (fold for method in self.methods for whole in method.seeds.values() for fold in whole.folds)
        return next((fold.classes for fold in folds if fold.classes), ())

    def method(self, title: str) -> Method:
        """The one of a title.

        Raises:
            UnknownError: none or several have it.
        """
        found = [method for method in self.methods if method.title == title]
        if len(found) != 1:
            raise UnknownError("no single method has this title")
        return found[0]

    def table(self, name: str) -> list[list[str]] | None:
        """The rows of a CSV file, headings first, without what keeps a spreadsheet from computing them."""
        return rows_of(self.folder / f"{self.slug}-{name}.csv")

    def known_tables(self) -> list[str]:
        """Names of all its tables."""
        others = [path.name.removesuffix(SOURCES) for path in self.folder.glob(f"*{SOURCES}")]
        longer = [slug for slug in others if slug.startswith(f"{self.slug}-")]
        found = sorted(path.stem for path in self.folder.glob("*.csv") if path.stem.startswith(f"{self.slug}-"))
        mine = [stem for stem in found if not any(stem.startswith(f"{slug}-") for slug in longer)]
        return [stem.removeprefix(f"{self.slug}-") for stem in mine]


def rows_of(path: Path) -> list[list[str]] | None:
    """The rows of a CSV file, headings first; None where it is not there."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [[_plain(cell) for cell in row] for row in csv.reader(file)]
    except FileNotFoundError:
        return None


def _plain(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:2] in tuple("=+-@") else cell


def read_written(folders: Sequence[Path], out: Path) -> list[Written]:
    """The tables of all studies in ``out``.

    Args:
        folders: that were reported.

    Raises:
        UserError: there are none, or a file is damaged.
    """
    found = sorted((out / TABLES).glob(f"*{SOURCES}"))
    if not found:
        raise UserError(
            f"{out / TABLES} holds no tables that say which runs they are made of; "
            f"write them first: preceptor report {' '.join(map(str, folders))}"
        )
    return [_read(path, folders) for path in found]


def _read(path: Path, folders: Sequence[Path]) -> Written:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Written(
            slug=path.name.removesuffix(SOURCES),
            folder=path.parent,
            title=values["title"],
            task=values["task"],
            network=values["network"],
            networks=values["networks"],
            metric=values["metric"],
            tabled=values["tabled"],
            names=values["names"],
            own=frozenset(values["own"]),
            axes=(values["results"]["down"], values["results"]["across"]),
            columns=values["results"]["columns"],
            methods=[_method(one, folders, path) for one in values["methods"]],
        )
    except (KeyError, TypeError, IndexError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise DamagedFileError(path, f"does not say which runs its tables are made of: {error!r}", _AGAIN) from None


_AGAIN = "Write the report anew, and verify it with the same folders in the same order."


def _method(values: Mapping[str, Any], folders: Sequence[Path], said_by: Path) -> Method:
    seeds: dict[int, list[RunRead]] = {}
    for run in values["runs"]:
        above = folders[run["folder"]]
        folder = above if run["path"] == "." else inside(above, run["path"], said_by=said_by)
        seeds.setdefault(run["seed"], []).append(RunRead(folder, run["name"]))
    return Method(
        title=values["title"],
        kind=values["kind"],
        labels=values["labels"],
        alone=values["alone"],
        seeds={seed: Whole(folds) for seed, folds in seeds.items()},
    )
