"""Users' own code that a recipe names: said before it is run, of a received folder only where trusted."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from preceptor.errors import UserError
from preceptor.knowledge.catalogue import entry_for
from preceptor.measures.own import path_of
from preceptor.own_code import check_call, file_of, is_code, is_own
from preceptor.recipe import Recipe
from preceptor.runs.names import METRICS, OWN, RESULT, SPLIT
from preceptor.specs import NetworkSpec
from preceptor.study_index import INDEX
from preceptor.techniques import OwnTechnique

_OF_A_RUN = (RESULT, SPLIT, METRICS, INDEX, "trials.csv")
"""What lies beside the recipe of a run, study or search, and not beside one that was written by hand."""

OUTPUTS = "num_classes"
"""The parameter by which a network of one's own is told how many logits it is to have."""


@dataclass(frozen=True, slots=True)
class OwnFile:
    """A file, or an installed module, that training with a recipe runs.

    Args:
        use: what the recipe wants of it, as it names it.
        content: of the file; empty of a module.
    """

    use: str
    path: Path
    content: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """Of its content; empty of a module."""
        return hashlib.sha256(self.content).hexdigest() if self.content else ""

    @property
    def kept_as(self) -> str:
        """Where a run keeps its content."""
        return f"{OWN}/{self.path.stem}-{self.sha256[:8]}.py"

    def __str__(self) -> str:
        what = f"{self.path} (sha256 {self.sha256})" if self.sha256 else f"the installed module {self.path}"
        return f"{what} for {self.use}"


def own_files(recipe: Recipe) -> list[OwnFile]:
    """All code of the user's own that training with ``recipe`` runs, once; nothing is run here.

    Raises:
        UserError: a file that is not there, does not hold what is named, or does not take the options given.
    """
    return _once((*_of_the_method(recipe), *_of_networks(recipe), *_of_data(recipe), *_of_measures(recipe)))


def own_files_of_data(recipe: Recipe) -> list[OwnFile]:
    """What is run wherever the images of ``recipe`` are read."""
    return _once(_of_data(recipe))


def settle(recipe: Recipe, source: Path, note: Callable[[str], None], *, trust: bool) -> None:
    """Name the code that training with ``recipe``, read from ``source``, is about to run.

    Raises:
        UserError: ``source`` lies in the folder of a run or study, which may come from somebody else, and there is no
            ``trust``.
    """
    files = own_files(recipe)
    if files and not trust and is_of_a_run(source):
        require_trust(files, source)
    for file in files:
        note(f"Python code of your own is run: {file}")


def require_trust(files: Sequence[OwnFile], source: Path) -> None:
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


def _once(uses: Sequence[tuple[str, Path]] | Iterator[tuple[str, Path]]) -> list[OwnFile]:
    found: dict[Path, OwnFile] = {}
    for use, path in uses:
        if path not in found:
            is_file = path.suffix == ".py"
            found[path] = OwnFile(use, path, path.read_bytes() if is_file else b"")
    return list(found.values())


def _of_the_method(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    """What a recipe names of users' files for its technique and losses, in words, and the file."""
    technique = recipe.technique
    if isinstance(technique, OwnTechnique):
        yield f"the technique {technique.name}", technique.path
    for spec in technique.losses_named:
        entry = entry_for(spec.loss)
        if entry.module is None:
            yield f"the loss {spec.loss}", entry.path


def _of_networks(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    networks = recipe.networks
    specs = [*filter(None, [networks.teacher]), *networks.teachers, *networks.peers.values()]
    for spec in specs:
        if is_code(spec.architecture):
            check_network(spec)
            yield f"the network {spec.architecture}", _place(spec.architecture)


def check_network(spec: NetworkSpec) -> None:
    """Compare the options of a network of one's own with what its file says that it takes.

    Raises:
        UserError: no such file or class, or options that it does not have.
    """
    check_call(spec.architecture, "architecture", spec.options, given=(OUTPUTS,))


def _of_data(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    source = recipe.data.source
    if is_own(source):
        check_call(source, "data source", recipe.data.options, given=("path",))
        yield f"the data source {source}", _place(source)


def _of_measures(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    for name in recipe.measures:
        yield f"the measure {name}", path_of(name)


def _place(name: str) -> Path:
    """Of the file; for a module its dotted name."""
    return file_of(name) if is_own(name) else Path(name.rpartition(":")[0])
