"""Opening a network of a finished run for work: which one is meant, and from which image files it answers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from preceptor.deploy.contract import Contract
from preceptor.errors import UserError
from preceptor.opened_run import OpenedRun, open_run
from preceptor.recipe import load_recipe
from preceptor.runs.files import RunFiles
from preceptor.study_index import INDEX

if TYPE_CHECKING:
    from preceptor.networks.network import Network


@dataclass(frozen=True, slots=True)
class Student:
    """A network of a finished run, ready to answer.

    Args:
        name: of the network in the run.
        contract: from image files to its answers.
    """

    run: OpenedRun
    name: str
    network: "Network"
    contract: Contract

    @property
    def folder(self) -> Path:
        """Where the exported network lies."""
        return self.run.files.network(self.name)


def find_student(path: Path) -> tuple[OpenedRun, str]:
    """The run and the name of the network that ``path`` means: of a run the one that was chosen on validation.

    Args:
        path: a run, or ``RUN/networks/NAME``.

    Raises:
        UserError: no finished run, a study, or no such network.
    """
    above = RunFiles(path.parent.parent)
    if path.parent.name == above.networks.name and above.result.exists():
        run, name = open_run(above.folder), path.name
    else:
        _refuse_several(path)
        run = open_run(path)
        name = run.result.chosen
    if name not in run.names:
        there = ", ".join(run.names) or "none, its networks are gone"
        raise UserError(f"{run.files.folder} has no network {name!r}; it has {there}")
    return run, name


def open_student(
    path: Path,
    *,
    data: str | None = None,
    note: Callable[[str], object] = lambda note: None,
    answers: bool = True,
) -> Student:
    """The network that ``path`` means, verified, in eval mode.

    Args:
        data: where the run's images lie now, if not where its recipe says.
        note: called with what the user should know of the network, one sentence each.
        answers: whether it is to tell classes apart.

    Raises:
        UserError: as :func:`find_student`; or it is to tell classes apart, and has learned none.
        DamagedFileError: a file is not what the run left.
    """
    run, name = find_student(path)
    if answers:
        run.require_classes("there is nothing to predict, and no bundle to be made")
    if data is not None:
        run = replace(run, recipe=load_recipe(run.files.recipe, [f"data.path={data}"])[0])
    return student_of(run, name, note=note)


def student_of(run: OpenedRun, name: str, *, note: Callable[[str], object] = lambda note: None) -> Student:
    """The network ``name`` of an opened run, in eval mode; ``note`` as of :func:`open_student`.

    Raises:
        UserError: there is none of this name.
        DamagedFileError: a file is not what the run left.
    """
    from preceptor.networks.export import OWN_KEY
    from preceptor.networks.weights import read_config

    network = run.network(name)
    for line in dict.fromkeys((*run.notes, *network.notes)):
        note(line)
    own = read_config(run.files.network(name))[OWN_KEY]
    if "preprocessing" not in own:
        raise UserError(
            f"{run.files.network(name)} is of a version of preceptor that did not say how images were prepared.\n"
            f"Delete {run.files.result}: `preceptor train {run.files.recipe} --out {run.files.folder}` exports anew."
        )
    return Student(run, name, network, Contract.from_config(own, network.blueprint.task))


def _refuse_several(path: Path) -> None:
    """UserError where ``path`` is no run and holds runs: which one is meant?"""
    if RunFiles(path).result.exists() or not path.is_dir():
        return
    found = sorted(file.parent for file in path.glob(f"**/{RunFiles(path).result.name}"))
    runs = [folder for folder in found if RunFiles(folder).exported()]
    if runs:
        what = "a study" if (path / INDEX).exists() else "a folder"
        raise UserError(
            f"{path} is {what} of {len(runs)} finished runs; give one of them, for example {max(runs, key=_score)}, "
            "whose chosen network is the best of them on validation"
        )


def _score(folder: Path) -> float:
    run = open_run(folder)
    return run.validation[run.result.chosen].get(run.recipe.monitor) or 0.0
