"""Weights from outside: what a user's words mean on disk."""

from dataclasses import dataclass
from pathlib import Path

from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.runs.files import RunFiles, is_network, run_around
from preceptor.runs.finished import read_finished
from preceptor.runs.names import RESULT


@dataclass(frozen=True, slots=True)
class Given:
    """Weights, or a run that has them.

    Args:
        option: of the recipe, in which the user names them; for errors.
        path: as the user wrote it.
    """

    option: str
    path: str

    @property
    def weights(self) -> Path:
        """The file, the network folder, or the network of a run folder that is meant.

        Raises:
            UserError: nothing is there, or several networks, none of them a teacher.
        """
        path = expand(self.path)
        if path.is_file() or is_network(path):
            return path
        files = RunFiles(path)
        found = [folder.name for folder in files.exported()]
        if "T" in found or len(found) == 1:
            return files.network("T" if "T" in found else found[0])
        there = f"a run with networks {', '.join(found)}" if found else "a folder without finished networks"
        raise UserError(
            f"{self.option}: {self.path!r} {'is ' + there if path.exists() else 'does not exist'}.\n"
            "Give a finished run folder that trained a teacher (technique.name=baseline technique.network=teacher), "
            "one of its networks/NAME folders, or a file of weights (.safetensors, .pth, .bin)."
        )

    def score(self, monitor: str) -> float | None:
        """The network's validation score in its own run; None where no result tells it."""
        network = self.weights if self.weights.is_dir() else self.weights.parent
        run = run_around(network, (RESULT,))
        found = read_finished(run) if run else None
        return None if found is None else found.result.validation.get(network.name, {}).get(monitor)

    @property
    def is_finished_run(self) -> bool:
        """Whether it is the folder of a run that has a result."""
        return RunFiles(expand(self.path)).result.is_file()
