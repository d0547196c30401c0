"""What a run folder holds, read as it is: finished, unfinished, or written by another version."""

import io
import json
from collections import ChainMap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.errors import UserError
from preceptor.inside import inside
from preceptor.measures import COUNTS
from preceptor.opening import read_text
from preceptor.recipe import parse_recipe
from preceptor.report.reading.shapes import check_recipe, check_result
from preceptor.runs.names import METRICS, NETWORKS, PREDICTIONS, RECIPE, SPLIT
from preceptor.runs.result import RunResult, read_environment, read_result
from preceptor.sealed import read_whole
from preceptor.yaml_text import read_yaml_file

Array = NDArray[Any]

LARGEST = 64 * 2**20
"""Bytes of a picture or text that goes into the page."""

MAIN_METRIC = {"classification": "accuracy", "segmentation": "iou"}
"""The score by which weights are chosen, unless the recipe monitors another."""

_BUDGET = ("task", "data", "split", "augment", "task_loss", "training")

CHOSEN = "chosen"
"""In the place of a network's name: the one that each run chose on validation."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What every network of a run says of the same samples.

    Args:
        ids: (N,) of samples, or of whole images for masks.
        labels: (N,) classes; None for masks.
        networks: name -> (N, C) probabilities, or (N, K, 4) pixel counts of each foreground class.
    """

    ids: Array
    labels: Array | None
    networks: Mapping[str, Array]


def joined(answers: Sequence[Predictions]) -> Predictions:
    """Answers about different samples, one below the other, of the networks that all have."""
    names = [name for name in answers[0].networks if all(name in answer.networks for answer in answers)]
    labels = [answer.labels for answer in answers if answer.labels is not None]
    return Predictions(
        ids=np.concatenate([answer.ids for answer in answers]),
        labels=np.concatenate(labels) if labels else None,
        networks={name: np.concatenate([answer.networks[name] for answer in answers]) for name in names},
    )


@dataclass(frozen=True, slots=True)
class Note:
    """A picture or table that another command left in ``analysis/``."""

    title: str
    file: Path
    caption: str


@dataclass(frozen=True, eq=False)
class Run:
    """One run folder.

    Args:
        folder: where it lies.
        name: what to call it, its path below the folder that is reported.
        recipe: ``recipe.yaml`` with today's defaults.
        result: ``result.json``; None where the run is not finished.
        folds: the runs that it stands for, where these are folds of one seed.
        source: through which its other files are read, where it is finished.
    """

    folder: Path
    name: str
    recipe: Mapping[str, Any]
    result: Mapping[str, Any] | None
    folds: "tuple[Run, ...]" = ()
    source: RunResult | None = None

    @property
    def task(self) -> str:
        """``classification`` or ``segmentation``."""
        return str(self.recipe.get("task"))

    @property
    def seed(self) -> int:
        """Of the recipe."""
        return int(self.recipe.get("seed", 0))

    @property
    def fold(self) -> int | None:
        """The fold that it tests; None where there are none."""
        split = self.recipe.get("split") or {}
        return int(split.get("fold", 0)) if split.get("folds") else None

    def score(self, network: str, metric: str, part: str = "test") -> float | None:
        """A score of ``result.json``; metrics of the agreement with the teacher are ``fidelity.NAME``."""
        if self.result is None:
            return None
        if network == CHOSEN and CHOSEN not in self.result.get(part, {}):  # folds each have their own
            network = self.chosen or CHOSEN
        if metric.startswith("fidelity."):
            found = self.result.get("fidelity", {}).get(network, {}).get(metric.removeprefix("fidelity."))
        else:
            found = self.result.get(part, {}).get(network, {}).get(metric)
        return None if found is None else float(found)

    @cached_property
    def chosen(self) -> str | None:
        """The network that was chosen on validation, one that can be deployed; None where nothing is finished.

        Older versions let an ensemble be chosen; of such a run it is the best single student.
        """
        result = self.result or {}
        single = [str(name) for name in result.get("parameters", {}) if name in result.get("validation", {})]
        if result.get("chosen") in single or not single:
            return str(result["chosen"]) if "chosen" in result else None
        metric = (self.recipe.get("training") or {}).get("monitor") or MAIN_METRIC[self.task]
        students = [name for name in single if name != "T"] or single
        return max(students, key=lambda name: self.score(name, metric, "validation") or 0.0)

    @cached_property
    def budget(self) -> str:
        """All that a student alone must share with a method before the two may be compared, as text."""
        same = {key: value for key, value in self.recipe.items() if key in _BUDGET}
        training = {
            k: v for k, v in (same.get("training") or {}).items() if k not in ("threads", "workers", "tensorboard")
        }
        data = {key: value for key, value in (same.get("data") or {}).items() if key != "cache"}
        networks = self.recipe.get("networks") or {}
        student = networks.get("student") or (networks.get("students") or [None])[0]
        return json.dumps({**same, "training": training, "data": data, "student": student}, sort_keys=True, default=str)

    @property
    def teacher(self) -> str | None:
        """The folder or weights that its frozen teacher comes from, where the recipe names one."""
        found = (self.recipe.get("technique") or {}).get("teacher")
        return None if found is None else str(found)

    @property
    def peers(self) -> int:
        """How many students there are."""
        networks = self.recipe.get("networks") or {}
        return len(networks.get("students") or ()) or int(networks.get("count") or 0)

    @cached_property
    def latency(self) -> Mapping[str, float]:
        """Milliseconds for one image by network, where they were measured."""
        path = self.folder / "analysis" / "latency.json"
        found = _json(path) or {}
        try:
            return {name: float(one["median_ms"]) for name, one in found.items() if "median_ms" in one}
        except (TypeError, ValueError):
            raise UserError(f"{path}: wanted median_ms of each network; run `preceptor analyse` again") from None

    @cached_property
    def gradients(self) -> Mapping[str, Any]:
        """Shares of loss terms in each network's gradient, as they were measured; empty where they were not."""
        return _json(self.folder / "analysis" / "gradients.json") or {}

    @cached_property
    def environment(self) -> Mapping[str, Any]:
        """``environment.json``; empty where there is none yet."""
        return read_environment(self.folder) or {}

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes as the exported networks know them; empty where none is exported yet."""
        for file in sorted(self.folder.glob("networks/*/config.json")):
            names = (_json(file) or {}).get("label_names")
            if names:
                return tuple(str(name) for name in names)
        return ()

    @cached_property
    def split(self) -> pd.DataFrame | None:
        """``split.csv``: id, group, label, split, as text."""
        return self._table(SPLIT, ("id", "group", "label", "split"), dtype=str)

    @cached_property
    def metrics(self) -> pd.DataFrame | None:
        """``metrics.csv``: stage, epoch, network, split, metric, value."""
        columns = ("stage", "epoch", "network", "split", "metric", "value")
        text = {"stage": str, "network": str, "split": str, "metric": str}
        return self._table(METRICS, columns, dtype=text)

    @cached_property
    def group_of(self) -> Mapping[str, str] | None:
        """Sample or image -> patient, lesion or slide; None where the data knows no groups."""
        if self.folds:
            of_folds = [fold.group_of for fold in self.folds]
            known = [groups for groups in of_folds if groups is not None]
            return dict(ChainMap(*map(dict, known))) if len(known) == len(of_folds) else None
        if self.split is None or self.split["group"].isna().any():
            return None
        found = dict(zip(self.split["id"], self.split["group"], strict=True))
        # Tiles bear the name of their image, which is what is evaluated.
        return {name.split("@")[0]: group for name, group in found.items()} | found

    @cached_property
    def predictions(self) -> Predictions | None:
        """``predictions/test.csv``; those of all folds one below the other."""
        if not self.folds:
            found = self._predictions("test")
            chosen = self.chosen
            if found is None or chosen is None or chosen not in found.networks:
                return found
            return replace(found, networks={**found.networks, CHOSEN: found.networks[chosen]})
        answers = [answer for fold in self.folds if (answer := fold.predictions) is not None]
        return joined(answers) if len(answers) == len(self.folds) else None

    @cached_property
    def analysis(self) -> tuple[Note, ...]:
        """What ``analysis/index.json`` lists."""
        return analysis_in(self.folder)

    def _table(self, name: str, columns: tuple[str, ...], *, dtype: Any) -> pd.DataFrame | None:
        """A CSV file of the run, verified where the run is finished; None where there is none yet."""
        path = self.folder / name
        try:
            content = self.source.content(name) if self.source else read_whole(path)
        except FileNotFoundError:
            return None
        return _table(path, content, columns, dtype=dtype)

    def _predictions(self, part: str) -> Predictions | None:
        name = f"{PREDICTIONS}/{part}.csv"
        path = self.folder / name
        table = self._table(name, ("id", "network"), dtype={"id": str, "network": str})
        if table is None or table.empty:
            return None
        frames = {str(name): frame for name, frame in table.groupby("network", sort=False)}
        first = next(iter(frames.values()))
        if any(not np.array_equal(frame["id"].to_numpy(), first["id"].to_numpy()) for frame in frames.values()):
            raise UserError(f"{path}: its networks were asked about different samples; evaluate the run anew")
        if "label" in table:
            chances = [column for column in table if str(column).startswith("p_")]
            return Predictions(
                ids=first["id"].to_numpy(dtype=object),
                labels=first["label"].to_numpy(dtype=np.int64),
                networks={name: frame[chances].to_numpy(dtype=np.float64) for name, frame in frames.items()},
            )
        count = first["class"].nunique()  # a block of all images per foreground class
        if len(first) % count:
            raise UserError(f"{path}: some images lack a row for each of the {count} foreground classes")
        images = len(first) // count
        return Predictions(
            ids=first["id"].to_numpy(dtype=object)[:images],
            labels=None,
            networks={
                name: frame[list(COUNTS)].to_numpy(dtype=np.int64).reshape(count, images, 4).swapaxes(0, 1)
                for name, frame in frames.items()
            },
        )


def read_run(folder: Path, name: str) -> Run:
    """The run in ``folder``, which holds a ``recipe.yaml``.

    Raises:
        UserError: a file of the run is damaged.
    """
    result = read_result(folder)
    if result is not None:
        result.verify(RECIPE, SPLIT, METRICS, PREDICTIONS, NETWORKS)
    path = folder / RECIPE
    try:
        recipe = read_yaml_file(path, str(path))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    if not isinstance(recipe, dict) or recipe.get("task") not in ("classification", "segmentation"):
        raise UserError(f"{path} is no recipe of a run: it names no task, classification or segmentation")
    check_recipe(path, recipe)
    # Options that have come since it was written are at their defaults. One of a newer version, or with a loss from a
    # file that is gone, is read as it is.
    with suppress(UserError):
        recipe = parse_recipe(recipe).model_dump(mode="json")
    found = result.whole() if result and result.is_complete else None
    if found is not None:
        check_result(folder / "result.json", found)
    return Run(folder, name, recipe, found, source=result)


def analysis_in(folder: Path) -> tuple[Note, ...]:
    """What ``analysis/index.json`` of a folder lists, without what is missing.

    Raises:
        UserError: an entry names a file that does not lie there, which the page would show to whoever it is passed to.
    """
    path = folder / "analysis" / "index.json"
    listed = _json(path, kind=list) or []
    try:
        named = [(str(one["title"]), one["file"], str(one.get("caption", ""))) for one in listed]
    except (AttributeError, KeyError, TypeError):
        raise UserError(f"{path}: wanted a list of entries with title, file and caption") from None
    inside(folder, "analysis", said_by=folder)
    notes = [Note(title, inside(path.parent, file, said_by=path), caption) for title, file, caption in named]
    found = tuple(note for note in notes if note.file.is_file())
    for note in found:
        if note.file.stat().st_size > LARGEST:
            raise UserError(
                f"{note.file} is larger than {LARGEST >> 20} MiB, too much for a page; remove it or its entry"
            )
    return found


def _json(path: Path, kind: type = dict) -> Any:
    """The content of a file, None where there is none."""
    if not path.exists():
        return None
    anew = f" Delete it; `preceptor analyse {path.parent.parent}` makes it anew." * (path.parent.name == "analysis")
    try:
        found = json.loads(read_text(path, "file of a run"))
    except UserError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged, no JSON: {error}.{anew}") from None
    if not isinstance(found, kind):
        raise UserError(f"{path} holds {type(found).__name__}, {kind.__name__} was wanted.{anew}")
    return found


def _table(path: Path, text: bytes, columns: tuple[str, ...], *, dtype: Any) -> pd.DataFrame | None:
    """The table in ``text``, without a last line that is still being written; None where there is no whole line."""
    whole = text[: text.rfind(b"\n") + 1]
    if not whole:
        return None
    try:
        table = pd.read_csv(io.BytesIO(whole), dtype=dtype, keep_default_na=False, na_values=["", "nan"])
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a readable table: {error}") from None
    missing = [column for column in columns if column not in table]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing; it has {', '.join(map(str, table.columns))}")
    return table
