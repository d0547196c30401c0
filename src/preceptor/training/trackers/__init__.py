"""Sending what is measured to tools that people use, beside ``metrics.csv``. None is on unless a recipe names it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from importlib.util import find_spec

from preceptor.errors import UserError
from preceptor.extras import install_command
from preceptor.recipe import Recipe
from preceptor.runs.files import RunFiles
from preceptor.specs import Tracker
from preceptor.training.trackers.curves import RunTracker

_TITLES: dict[Tracker, str] = {"tensorboard": "TensorBoard", "mlflow": "MLflow", "wandb": "Weights & Biases"}


def wanted_trackers(recipe: Recipe) -> list[Tracker]:
    """Which tools the recipe names, each once."""
    training = recipe.training
    older: tuple[Tracker, ...] = ("tensorboard",) if training.tensorboard else ()
    return list(dict.fromkeys((*older, *training.trackers)))


def require_trackers(recipe: Recipe) -> None:
    """UserError where a tool that the recipe names is not installed."""
    for name in wanted_trackers(recipe):
        if find_spec(name) is None:
            raise UserError(f"training.trackers: {_TITLES[name]} is not installed: {install_command(name)}")


@contextmanager
def trackers_for(recipe: Recipe, files: RunFiles) -> Iterator[Sequence[RunTracker]]:
    """The tools that the recipe wants to be told of the training, until it ends."""
    with ExitStack() as held:
        yield [held.enter_context(closing(_begun(name, recipe, files))) for name in wanted_trackers(recipe)]


def _begun(name: Tracker, recipe: Recipe, files: RunFiles) -> RunTracker:
    if name == "mlflow":
        from preceptor.training.trackers.mlflow import MLflow

        return MLflow(files.mlflow, recipe)
    if name == "wandb":
        from preceptor.training.trackers.wandb import WandB

        return WandB(files.wandb, recipe)
    from preceptor.training.trackers.tensorboard import TensorBoard

    return TensorBoard(files.tensorboard)
