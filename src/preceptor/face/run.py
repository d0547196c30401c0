"""A run, and what it learned: trained here or opened again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from preceptor.calls import as_folder, plainly
from preceptor.errors import UserError
from preceptor.face.randoms import untouched
from preceptor.face.trained import TrainedNetwork
from preceptor.measures import Interval
from preceptor.opened_run import OpenedRun, open_run
from preceptor.recipe import Recipe
from preceptor.report.reading.intervals import interval_of
from preceptor.runs.result import RunResult
from preceptor.screen import Screen


class NetworkScores(Mapping[str, float]):
    """Scores of one network on the test part: ``scores.accuracy``, or ``scores["accuracy"]``."""

    def __init__(self, run: OpenedRun, network: str) -> None:
        self._run, self._network = run, network
        self._scores = run.test[network]

    def __getitem__(self, name: str) -> float:
        return self._scores[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._scores)

    def __len__(self) -> int:
        return len(self._scores)

    def __getattr__(self, name: str) -> float:
        if name.startswith("_") or name not in self._scores:
            has = "" if name.startswith("_") else f"; it has {', '.join(self._scores)}"
            raise AttributeError(f"no score {name!r}{has}")
        return self._scores[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._scores]

    def __repr__(self) -> str:
        return f"{self._network}: " + ", ".join(f"{name} {score:.4f}" for name, score in self._scores.items())

    @plainly
    def interval(self, name: str, *, resamples: int = 2000) -> Interval:
        """The 95 % bootstrap interval of a score over the test samples, whole groups of them where these are known.

        Raises:
            UserError: no such score, or what the network said of each sample is not there any more.
        """
        with untouched():
            return interval_of(self._run.files.folder, self._network, name, resamples=resamples)


@dataclass(frozen=True)
class Run:
    """A finished run. Nothing in its folder changes.

    Args:
        opened: its files, verified.
    """

    opened: OpenedRun

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.opened.files.folder

    @property
    def recipe(self) -> Recipe:
        """What it was trained by, with every default."""
        return self.opened.recipe

    @property
    def result(self) -> RunResult:
        """All that it came to."""
        return self.opened.result

    @cached_property
    def test(self) -> Mapping[str, NetworkScores]:
        """Scores on the test part by network; empty while that is sealed."""
        return {name: NetworkScores(self.opened, name) for name in self.opened.test}

    @property
    def chosen(self) -> str:
        """The network that was chosen on validation."""
        return self.result.chosen

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks that it left."""
        return self.opened.names

    @plainly
    def network(self, name: str | None = None, *, device: str = "auto") -> TrainedNetwork:
        """A network that it left, loaded anew, in eval mode.

        Args:
            name: the chosen one where not given.
            device: ``auto``, ``cpu`` or ``cuda``.

        Raises:
            UserError: there is none of this name, or it is damaged.
        """
        with untouched():
            return TrainedNetwork.of_run(self.opened, name or self.chosen, device)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}: {', '.join(self.networks)})"


@plainly
def train(
    recipe: Recipe, folder: Path | str, *, device: str = "auto", quiet: bool = False, opens_test: bool = True
) -> Run:
    """Train, evaluate and export what ``recipe`` describes, as ``preceptor train`` does; the same call resumes it.

    Args:
        folder: of the run: new or empty, or that of the same run.
        device: ``auto``, ``cpu`` or ``cuda``.
        quiet: print nothing.
        opens_test: False keeps the test part sealed.

    Raises:
        UserError: recipe, data or weights are wrong.
        InterruptedRunError: SIGTERM or SIGINT came; the same call goes on.
    """
    if not isinstance(recipe, Recipe):
        raise UserError(f'train: a recipe was wanted, Recipe.load("mine.yaml"), got {type(recipe).__name__}')
    into = as_folder("train", folder)
    with untouched():
        from preceptor.training.run import train_recipe as train_run  # some imports draw random numbers

        train_run(recipe, into, device=device, console=Screen(quiet=quiet), opens_test=opens_test)
        return Run(open_run(into))


@plainly
def load_run(folder: Path | str, *, trust: bool = False) -> Run:
    """The finished run in ``folder``.

    Args:
        trust: run the Python code that came with it: of networks and measures of somebody's own.

    Raises:
        UserError: it is not finished, or damaged.
    """
    with untouched():
        return Run(open_run(as_folder("load_run", folder), trust=trust))
