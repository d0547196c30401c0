"""Users' own Python files that a recipe names: said before they are run, of a received folder only where trusted."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from preceptor.errors import UserError
from preceptor.knowledge.catalogue import entry_for
from preceptor.measures.own import path_of
from preceptor.recipe import Recipe
from preceptor.runs.names import METRICS, OWN, RESULT, SPLIT
from preceptor.study_index import INDEX
from preceptor.techniques import OwnTechnique

_OF_A_RUN = (RESULT, SPLIT, METRICS, INDEX, "trials.csv")
"""What lies beside the recipe of a run, study or search, and not beside one that was written by hand."""


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file that training with a recipe runs.

    Args:
        use: what the recipe wants of it, as it names it.
    """

    use: str
    path: Path
    content: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """Of its content."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def kept_as(self) -> str:
        """Where a run keeps its content."""
        return f"{OWN}/{self.path.stem}-{self.sha256[:8]}.py"

    def __str__(self) -> str:
        return f"{self.path} (sha256 {self.sha256}) for {self.use}"


def own_files(recipe: Recipe) -> list[OwnFile]:
    """Every file that training with ``recipe`` runs, once; nothing is run here."""
    found: dict[Path, OwnFile] = {}
    for use, path in _uses(recipe):
        if path not in found:
            found[path] = OwnFile(use, path, path.read_bytes())
    return list(found.values())


def settle(recipe: Recipe, source: Path, note: Callable[[str], None], *, trust: bool) -> None:
    """Name the files that training with ``recipe``, read from ``source``, is about to run.

    Raises:
        UserError: ``source`` lies in the folder of a run or study, which may come from somebody else, and there is no
            ``trust``.
    """
    files = own_files(recipe)
    if files and not trust and is_of_a_run(source):
        require_trust(files, source)
    for file in files:
        note(f"Python code of your own is run: {file}")


def require_trust(files: list[OwnFile], source: Path) -> None:
    """Refuse to run ``files``, which the run or study of ``source`` names.

    Raises:
        UserError: where there are any.
    """
    if files:
        raise UserError(
            f"{source} names Python code that would be run here:\n"
            + "\n".join(f"  {file}" for file in files)
            + "\nWhoever made the folder chose it. Read the file, and give --trust if you would run it yourself."
        )


def is_of_a_run(source: Path) -> bool:
    """Whether a recipe or study lies in a folder that preceptor wrote."""
    return any((source.parent / name).exists() for name in _OF_A_RUN)


def _uses(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    """What a recipe names of users' files, in words, and the file."""
    technique = recipe.technique
    if isinstance(technique, OwnTechnique):
        yield f"the technique {technique.name}", technique.path
    for spec in technique.losses_named:
        entry = entry_for(spec.loss)
        if entry.module is None:
            yield f"the loss {spec.loss}", entry.path
    for name in recipe.measures:
        yield f"the measure {name}", path_of(name)
