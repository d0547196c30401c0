"""One trial of a search, as a worker does it: a run up to validation, which ends early where it is hopeless."""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.recipe import Recipe, parse_recipe
from preceptor.runs.finished import finished_run
from preceptor.screen import Screen
from preceptor.study.work import JobRequest, Tell
from preceptor.yaml_text import read_yaml

if TYPE_CHECKING:
    from preceptor.plan.stage import Stage


def trial_request(id: str, recipe: Recipe, out: Path, device: str) -> JobRequest:
    """A trial in a folder of its content: the same settings again take up what is there."""
    out = out.resolve()
    content = json.dumps(recipe.model_dump(mode="json", exclude_defaults=True, exclude={"name"}), sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    return JobRequest(id, out / "trials" / digest, out / "logs" / f"{digest}.log", recipe.to_yaml(), device)


def train_trial(request: JobRequest, tell: Tell) -> None:
    """Train a trial up to validation."""
    from preceptor.training.run import train_recipe

    recipe = parse_recipe(read_yaml(request.recipe, "the recipe of a trial"))
    console = Screen(file=sys.stdout, width=160)
    note_on = _Teller(tell, recipe.monitor)
    try:
        train_recipe(
            recipe, request.folder, device=request.device, console=console, watchers=[note_on], opens_test=False
        )
    except _HopelessError:
        console.print("cut short: other trials were better after as many epochs")


def score_of(folder: Path, monitor: str) -> float:
    """The validation score of what a trial chose."""
    result = finished_run(folder, with_test=False).result
    return result.validation[result.chosen][monitor]


class _HopelessError(Exception):
    """The trial is not worth going on with."""


class _Teller:
    """Watches the training loop and tells the score of the best student, with epochs counted over all stages."""

    def __init__(self, tell: Tell, monitor: str) -> None:
        self.tell = tell
        self.monitor = monitor
        self._students: set[str] = set()
        self._epochs: dict[str, int] = {}  # done, by the clock of the stage; a run that goes on tells stages again
        self._clock = ""

    def stage(self, stage: "Stage", first_epoch: int, steps: int) -> None:
        """A stage begins; students whose task does not count in it, as under a hint, say nothing of the trial."""
        self._clock = stage.clock
        self._epochs[stage.clock] = first_epoch
        self._students = {name for name in stage.learners if name != "T" and stage.members[name].task_weight}

    def step(self, epoch: int, step: int, images: int, waited: float) -> None:
        """Nothing is told between epochs."""

    def epoch(self, epoch: int, losses: Mapping[str, float], scores: Mapping[str, Mapping[str, float]]) -> None:
        """An epoch is validated."""
        self._epochs[self._clock] = epoch
        found = [scores[name][self.monitor] for name in self._students & set(scores)]
        if found and not self.tell(sum(self._epochs.values()), max(found)):
            raise _HopelessError
