"""MLflow: a run in a database in the run's folder, or on the server that ``MLFLOW_TRACKING_URI`` names."""

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from preceptor.recipe import Recipe
from preceptor.training.trackers.curves import RunTracker, flat_settings

_MOST_AT_ONCE = 100  # parameters that MLflow takes in one call
_LONGEST = 500  # characters of a parameter


class MLflow(RunTracker):
    """One MLflow run for the run; a resumed run goes on in the same.

    Args:
        folder: keeps the number of the MLflow run, and its database where no server is named.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        super().__init__()
        folder.mkdir(parents=True, exist_ok=True)
        own = f"sqlite:///{(folder / 'mlflow.db').resolve()}"
        self._client = MlflowClient(tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or own)
        kept = folder / "run_id"
        if kept.is_file():
            self._id = kept.read_text(encoding="utf-8").strip()
            self._client.update_run(self._id, status="RUNNING")
        else:
            self._id = self._begin(folder, recipe)
            kept.write_text(self._id, encoding="utf-8")

    def _begin(self, folder: Path, recipe: Recipe) -> str:
        title = os.environ.get("MLFLOW_EXPERIMENT_NAME") or recipe.name or "preceptor"
        found = self._client.get_experiment_by_name(title)
        experiment = found.experiment_id if found else self._client.create_experiment(title)
        begun: str = self._client.create_run(experiment, run_name=folder.parent.name).info.run_id
        settings = [
            Param(_name(key), str(value)[:_LONGEST]) for key, value in flat_settings(recipe.model_dump(mode="json"))
        ]
        for first in range(0, len(settings), _MOST_AT_ONCE):
            self._client.log_batch(begun, params=settings[first : first + _MOST_AT_ONCE])
        return begun

    def write(self, stage: str, epoch: int, curves: Mapping[str, float]) -> None:
        """One metric a curve, at the epoch."""
        now = int(time.time() * 1000)  # ms
        self._client.log_batch(self._id, [Metric(_name(name), value, now, epoch) for name, value in curves.items()])

    def close(self) -> None:
        """The MLflow run is finished; a resumed one opens it again."""
        self._client.set_terminated(self._id)


def _name(text: str) -> str:
    """``text`` in the characters that MLflow allows in names."""
    return re.sub(r"[^\w\-. /]", "_", text.replace("->", " to "))
