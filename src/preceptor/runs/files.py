"""Where everything of a run lies in its folder."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from preceptor.runs.names import (
    ANALYSIS,
    BEGUN,
    CHECKPOINTS,
    ENVIRONMENT,
    LISTED,
    LOCK,
    LOOKS,
    METRICS,
    MLFLOW,
    NETWORKS,
    OWN,
    PIXELS,
    PREDICTIONS,
    RECIPE,
    RESULT,
    REUSED,
    SPLIT,
    TENSORBOARD,
    TOGETHER,
    WANDB,
)

_NETWORK = "config.json"
"""What every exported network's folder holds."""

_LAST = "last.ckpt"


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The paths of a run's files, whether they are there or not."""

    folder: Path

    @property
    def recipe(self) -> Path:
        """The recipe with which the run began."""
        return self.folder / RECIPE

    @property
    def begun(self) -> Path:
        """Checksums of recipe, data and split with which the run began."""
        return self.folder / BEGUN

    @property
    def own(self) -> Path:
        """The Python files of the user's own that the run has used."""
        return self.folder / OWN

    @property
    def split(self) -> Path:
        """Which sample is in which part."""
        return self.folder / SPLIT

    @property
    def pixels(self) -> Path:
        """Hashes of the images that the run's networks know."""
        return self.folder / PIXELS

    @property
    def looks(self) -> Path:
        """What the images of all parts look like."""
        return self.folder / LOOKS

    @property
    def metrics(self) -> Path:
        """The long-form table of everything measured while training."""
        return self.folder / METRICS

    @property
    def result(self) -> Path:
        """Scores, costs and notes of the finished run."""
        return self.folder / RESULT

    @property
    def environment(self) -> Path:
        """On what machine and with which packages the run was finished."""
        return self.folder / ENVIRONMENT

    @property
    def lock(self) -> Path:
        """Held by the process that trains the run."""
        return self.folder / LOCK

    @property
    def reused(self) -> Path:
        """Where the run was copied from, if it was."""
        return self.folder / REUSED

    @property
    def together(self) -> Path:
        """The recipes of runs that are trained as one, in the folder that they share."""
        return self.folder / TOGETHER

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's events."""
        return self.folder / TENSORBOARD

    @property
    def mlflow(self) -> Path:
        """The folder of MLflow's database."""
        return self.folder / MLFLOW

    @property
    def wandb(self) -> Path:
        """The folder in which Weights & Biases writes."""
        return self.folder / WANDB

    @property
    def analysis(self) -> Path:
        """The folder of figures and numbers that ``preceptor analyse`` makes."""
        return self.folder / ANALYSIS

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints, one folder a stage."""
        return self.folder / CHECKPOINTS

    @property
    def networks(self) -> Path:
        """The folder of exported networks, one folder each."""
        return self.folder / NETWORKS

    @property
    def predictions(self) -> Path:
        """The folder of what every network says of every sample."""
        return self.folder / PREDICTIONS

    @property
    def listed(self) -> tuple[Path, ...]:
        """Files and folders for which ``result.json`` vouches."""
        return tuple(self.folder / name for name in LISTED)

    def predictions_of(self, part: str) -> Path:
        """What every network says of every sample of ``part``."""
        return self.predictions / f"{part}.csv"

    def surfaces_of(self, part: str) -> Path:
        """How far the outlines of every network's masks of ``part`` are off."""
        return self.predictions / "surfaces" / f"{part}.csv"

    def network(self, name: str) -> Path:
        """The folder of an exported network."""
        return self.networks / name

    def exported(self) -> list[Path]:
        """The folders of the networks that are there."""
        return [file.parent for file in sorted(self.networks.glob(f"*/{_NETWORK}"))]

    def stage(self, stage: str) -> Path:
        """The folder of a stage's checkpoints."""
        return self.checkpoints / stage

    def last_checkpoint(self, stage: str) -> Path:
        """The checkpoint from which ``stage`` goes on."""
        return self.stage(stage) / _LAST

    def weights(self, stage: str, network: str, which: str | int = "best") -> Path:
        """The state of ``network``: the best by validation, or that after an epoch of the stage."""
        name = which if isinstance(which, str) else f"epoch-{which:04d}"
        return self.stage(stage) / f"{network}.{name}.ckpt"

    def choices(self, stage: str) -> Path:
        """What was decided when ``stage`` began."""
        return self.stage(stage) / "choices.json"

    def has_trained(self) -> bool:
        """Whether training left anything here."""
        return any(path.exists() for path in (self.checkpoints, self.metrics, self.result))


def config_of(network: Path) -> Path:
    """What says how an exported network is made, in its folder."""
    return network / _NETWORK


def is_network(folder: Path) -> bool:
    """Whether ``folder`` holds an exported network."""
    return config_of(folder).is_file()


def runs_below(folder: Path) -> list[Path]:
    """The folders just below ``folder`` that hold a recipe, as those of runs do."""
    return [file.parent for file in sorted(folder.glob(f"*/{RECIPE}"))]


def run_around(path: Path, holding: Iterable[str]) -> Path | None:
    """The nearest folder above ``path`` that holds one of these files of a run, also where ``path`` is a link."""
    names = tuple(holding)
    above = (*path.absolute().parents, *path.resolve().parents)
    return next((folder for folder in above if any((folder / name).is_file() for name in names)), None)


def run_of_snapshot(path: Path) -> tuple[Path, tuple[str, ...]]:
    """The run folder of a stage's kept weights, and the way from there to the file."""
    run = path.parents[2]  # RUN/checkpoints/STAGE/FILE
    return run, path.relative_to(run).parts
