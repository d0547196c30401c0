"""Weights & Biases: files in the run's folder; nothing leaves the machine unless ``WANDB_MODE=online`` says so."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import wandb

from preceptor.recipe import Recipe
from preceptor.training.trackers.curves import RunTracker, lasting_id


def _mode() -> Literal["online", "offline", "disabled", "shared"]:
    wanted = os.environ.get("WANDB_MODE")
    return "online" if wanted == "online" else "disabled" if wanted == "disabled" else "offline"


class WandB(RunTracker):
    """One W&B run for the run; a resumed run goes on in the same.

    Args:
        folder: ``RUN/wandb``; ``wandb sync RUN/wandb/offline-run-…`` sends what lies there.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        super().__init__()
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "preceptor",
            name=f"{recipe.name} {folder.parent.name}".strip(),
            dir=str(folder.parent),
            mode=_mode(),
            id=lasting_id(folder),
            resume="allow",
            config=recipe.model_dump(mode="json"),
            settings=wandb.Settings(console="off", silent=True),
        )

    def write(self, stage: str, epoch: int, curves: Mapping[str, float]) -> None:
        """One value a curve; the epoch of its stage is the axis."""
        axis = f"{stage}/epoch"
        self._run.define_metric(f"{stage}/*", step_metric=axis)
        self._run.log({**curves, axis: epoch})

    def close(self) -> None:
        """The W&B run is finished; a resumed one opens it again."""
        self._run.finish()
