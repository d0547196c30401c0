"""Opening a network of a finished run for work: the one place here that knows what a run folder looks like."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.deploy.contract import Contract
from preceptor.errors import UserError
from preceptor.recipe import Recipe, load_recipe
from preceptor.runs.names import NETWORKS, RECIPE, RESULT
from preceptor.runs.result import RunResult, finished_run, unverified
from preceptor.study_index import INDEX

if TYPE_CHECKING:
    from preceptor.networks.network import Network

CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class Place:
    """A network of a finished run, found and not yet opened.

    Args:
        run: the run folder.
        name: of the network in it.
    """

    run: Path
    name: str
    result: RunResult

    @property
    def folder(self) -> Path:
        """Where the exported network lies."""
        return self.run / NETWORKS / self.name


@dataclass(frozen=True, slots=True)
class Student:
    """A network of a finished run, ready to answer.

    Args:
        contract: from image files to its answers.
    """

    place: Place
    recipe: Recipe
    network: "Network"
    contract: Contract


def find_student(path: Path) -> Place:
    """The network that ``path`` means: ``RUN/networks/NAME``, or of a run the one that was chosen on validation.

    Raises:
        UserError: no finished run, a study, or no such network.
    """
    if path.parent.name == NETWORKS and (path.parent.parent / RESULT).exists():
        run, name = path.parent.parent, path.name
        result = finished_run(run, with_test=False)
    else:
        run, result = path, finished_run(_run_at(path), with_test=False)
        name = result.chosen
    if not (run / NETWORKS / name / CONFIG).is_file():
        there = sorted(file.parent.name for file in (run / NETWORKS).glob(f"*/{CONFIG}"))
        raise UserError(f"{run} has no network {name!r}; it has {', '.join(there) or 'none, its networks are gone'}")
    return Place(run, name, result)


def open_student(path: Path, *, data: str | None = None, note: Callable[[str], object] = lambda note: None) -> Student:
    """The network that ``path`` means, verified, in eval mode.

    Args:
        data: where the run's images lie now, if not where its recipe says.
        note: called with what the user should know of the network, one sentence each.

    Raises:
        UserError: as :func:`find_student`.
        DamagedFileError: a file is not what the run left.
    """
    from preceptor.composed import load_network
    from preceptor.networks.export import OWN_KEY
    from preceptor.networks.weights import read_config

    place = find_student(path)
    place.result.verify(RECIPE, f"{NETWORKS}/{place.name}")
    if not place.result.is_sealed:
        note(unverified(place.run))
    recipe, _ = load_recipe(place.run / RECIPE, [] if data is None else [f"data.path={data}"])
    network = load_network(place.folder)
    for note in dict.fromkeys(network.notes):
        note(note)
    own = read_config(place.folder)[OWN_KEY]
    if "preprocessing" not in own:
        raise UserError(
            f"{place.folder / CONFIG} is of a version of preceptor that did not say how images were prepared.\n"
            f"Delete {place.run / RESULT}: `preceptor train {place.run / RECIPE} --out {place.run}` then exports anew."
        )
    return Student(place, recipe, network, Contract.from_config(own, network.blueprint.task))


def _run_at(path: Path) -> Path:
    """``path`` where it is a run.

    Raises:
        UserError: it holds runs, or is nothing of ours.
    """
    if (path / RESULT).exists() or not path.is_dir():
        return path
    runs = sorted(file.parent for file in path.glob(f"**/{RESULT}") if (file.parent / NETWORKS).is_dir())
    if not runs:
        return path
    what = "a study" if (path / INDEX).exists() else "a folder"
    best = _best_on_validation(runs)
    raise UserError(
        f"{path} is {what} of {len(runs)} finished runs; give one of them, for example {best}, whose chosen network "
        "is the best of them on validation"
    )


def _best_on_validation(runs: list[Path]) -> Path:
    def score(run: Path) -> float:
        result = finished_run(run, with_test=False)
        recipe, _ = load_recipe(run / RECIPE)
        return result.validation[result.chosen][recipe.monitor]

    return max(runs, key=score)
