"""Weights from outside: what a user's words mean on disk."""

from dataclasses import dataclass
from pathlib import Path

from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.runs.names import RESULT
from preceptor.runs.result import read_result


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
        if path.is_file() or (path / "config.json").is_file():
            return path
        found = sorted(folder.name for folder in (path / "networks").glob("*") if (folder / "config.json").is_file())
        if "T" in found or len(found) == 1:
            return path / "networks" / ("T" if "T" in found else found[0])
        there = f"a run with networks {', '.join(found)}" if found else "a folder without finished networks"
        raise UserError(
            f"{self.option}: {self.path!r} {'is ' + there if path.exists() else 'does not exist'}.\n"
            "Give a finished run folder that trained a teacher (technique.name=baseline technique.network=teacher), "
            "one of its networks/NAME folders, or a .safetensors file."
        )

    def score(self, monitor: str) -> float | None:
        """The network's validation score in its own run; None where no result tells it."""
        network = self.weights if self.weights.is_dir() else self.weights.parent
        run = next((folder for folder in network.absolute().parents if (folder / RESULT).exists()), None)
        if run is None:
            return None
        result = read_result(run)
        return None if result is None else result.validation.get(network.name, {}).get(monitor)

    @property
    def is_finished_run(self) -> bool:
        """Whether it is the folder of a run that has a result."""
        return (expand(self.path) / RESULT).is_file()
