"""What a run folder holds, read as it is: finished, unfinished, or written by another version."""

import json
from collections import ChainMap
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from preceptor.errors import UserError
from preceptor.measures import main_measure
from preceptor.measures.measure import AnyMeasure
from preceptor.measures.own import of_a_run
from preceptor.recipe import parse_recipe
from preceptor.recipe_rules import reads_no_label_in
from preceptor.report.reading.shapes import check_recipe
from preceptor.runs.analysis import Analysis, read_analysis
from preceptor.runs.classes import class_names
from preceptor.runs.files import RunFiles
from preceptor.runs.finished import FinishedRun, read_environment, read_finished
from preceptor.runs.predictions import Predictions, joined_predictions, read_predictions
from preceptor.runs.result import RunResult, ScoresByNetwork
from preceptor.runs.tables import read_looks, read_metrics, read_split
from preceptor.specs import FEATURES
from preceptor.yaml_text import read_yaml_file

_BUDGET = ("task", "data", "split", "augment", "task_loss", "training")

CHOSEN = "chosen"
"""In the place of a network's name: the one that each run chose on validation."""


@dataclass(frozen=True, eq=False)
class RunRecord:
    """One run folder.

    Args:
        folder: where it lies.
        name: what to call it, its path below the folder that is reported.
        recipe: ``recipe.yaml`` with today's defaults.
        finished: the run's result and files, verified; None where there is no result, or the test part is sealed.
        pooled: the result of all ``folds`` together.
        folds: the runs that it stands for, where these are folds of one seed.
        own: the user's own measures that it was scored by.
    """

    folder: Path
    name: str
    recipe: Mapping[str, Any]
    finished: FinishedRun | None
    pooled: RunResult | None = None
    folds: "tuple[RunRecord, ...]" = ()
    own: tuple[AnyMeasure, ...] = ()

    @property
    def files(self) -> RunFiles:
        """The paths of its files."""
        return RunFiles(self.folder)

    @property
    def result(self) -> RunResult | None:
        """What it came to; None where it is not finished."""
        return self.pooled or (self.finished.result if self.finished else None)

    @property
    def test(self) -> ScoresByNetwork:
        """Scores on the test part; empty where the run is not finished."""
        return self.result.test if self.result else {}

    @property
    def validation(self) -> ScoresByNetwork:
        """Scores on the validation part; empty where the run is not finished."""
        return self.result.validation if self.result else {}

    @property
    def fidelity(self) -> ScoresByNetwork:
        """Agreement with the teacher; empty where the run is not finished."""
        return self.result.fidelity if self.result else {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be known before its scores are trusted."""
        return self.result.notes if self.result else ()

    @property
    def grouped_by(self) -> str | None:
        """What kept samples of one origin in one part; None where nothing did, or it is not known yet."""
        return self.result.grouped_by if self.result else None

    @property
    def task(self) -> str:
        """``classification`` or ``segmentation``; ``features`` where no label was read."""
        is_free = reads_no_label_in(self.recipe) or (self.result is not None and self.result.has_no_labels)
        return FEATURES if is_free else str(self.recipe.get("task"))

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
        """A score on ``test`` or ``validation``; metrics of the agreement with the teacher are ``fidelity.NAME``."""
        scores = self.test if part == "test" else self.validation
        if network == CHOSEN and CHOSEN not in scores:  # folds each have their own
            network = self.chosen or CHOSEN
        if metric.startswith("fidelity."):
            return self.fidelity.get(network, {}).get(metric.removeprefix("fidelity."))
        return scores.get(network, {}).get(metric)

    @cached_property
    def chosen(self) -> str | None:
        """The network that was chosen on validation, one that can be deployed; None where nothing is finished.

        Older versions let an ensemble be chosen; of such a run it is the best single student.
        """
        if self.result is None:
            return None
        single = [name for name in self.result.parameters if name in self.validation]
        if self.result.chosen in single or not single:
            return self.result.chosen
        metric = (self.recipe.get("training") or {}).get("monitor") or main_measure(self.task).name
        students = [name for name in single if name != "T"] or single
        return max(students, key=lambda name: self.score(name, metric, "validation") or 0.0)

    @cached_property
    def budget(self) -> str:
        """All that a student alone must share with a method before the two may be compared, as text."""
        same = {key: value for key, value in self.recipe.items() if key in _BUDGET}
        aside = ("threads", "workers", "tensorboard", "trackers")
        training = {k: v for k, v in (same.get("training") or {}).items() if k not in aside}
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
    def analysis(self) -> Analysis:
        """What ``preceptor analyse`` left."""
        return read_analysis(self.folder)

    @cached_property
    def environment(self) -> Mapping[str, Any]:
        """On what it was finished; empty where that is not known yet."""
        return read_environment(self.folder) or {}

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes as the exported networks know them; empty where none is exported yet."""
        return class_names(self.files)

    @property
    def scored_classes(self) -> tuple[str, ...]:
        """Names of the classes where each was scored; empty where there is but one of foreground, or for labels."""
        scored = any(f"iou.{name}" in scores for scores in self.test.values() for name in self.classes)
        return self.classes if scored else ()

    @cached_property
    def split(self) -> pd.DataFrame | None:
        """id, group, label, split, as text; ``known``, where images of a task of masks lack one."""
        return read_split(self.folder)

    @property
    def masks_known(self) -> tuple[int, int] | None:
        """How many training images had a mask, of how many; None where all had, and for classes."""
        if self.split is None or "known" not in self.split:
            return None
        train = self.split[self.split["split"] == "train"]
        if (self.recipe.get("data") or {}).get("tile"):  # tiles bear the name of their image
            train = train.assign(id=train["id"].str.rpartition("@")[0]).drop_duplicates("id")
        known = int((train["known"] == "True").sum())
        return (known, len(train)) if known < len(train) else None

    @cached_property
    def looks(self) -> pd.DataFrame | None:
        """id, and what its image looks like; None where that is not known."""
        return read_looks(self.finished) if self.finished else None

    @cached_property
    def metrics(self) -> pd.DataFrame | None:
        """stage, epoch, network, split, metric, value."""
        return read_metrics(self.folder, self.finished)

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
        """What its networks said of the test part; those of all folds one below the other."""
        if self.folds:
            answers = [answer for fold in self.folds if (answer := fold.predictions) is not None]
            return joined_predictions(answers) if len(answers) == len(self.folds) else None
        found = read_predictions(self.finished, "test") if self.finished else None
        chosen = self.chosen
        if found is None or chosen is None or chosen not in found.networks:
            return found
        surfaces = {CHOSEN: found.surfaces[chosen]} if chosen in found.surfaces else {}
        return replace(
            found,
            networks={**found.networks, CHOSEN: found.networks[chosen]},
            surfaces={**found.surfaces, **surfaces},
        )


def read_run(folder: Path, name: str) -> RunRecord:
    """The run in ``folder``, which holds a recipe.

    Raises:
        UserError: a file of the run is damaged.
    """
    files, found = RunFiles(folder), read_finished(folder)
    if found is not None:
        found.verify(files.recipe, files.split, files.metrics, files.predictions, files.networks)
    path = files.recipe
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
    complete = found if found and found.result.is_complete else None
    own = of_a_run(folder, complete.result.measures, said_by=complete.files.result) if complete else ()
    run = RunRecord(folder, name, recipe, complete, own=own)
    _ = run.split  # a damaged one is noticed here, where the run can be left out
    return run
