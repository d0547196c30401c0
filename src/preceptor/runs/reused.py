"""Where a run was copied from, if another study had it already."""

from pathlib import Path

from preceptor.runs.files import RunFiles
from preceptor.sealed import read_sealed, write_sealed

_FROM = "from"


def write_source(run: Path, source: Path) -> None:
    """Note in a copied run's folder that it comes from ``source``."""
    write_sealed(RunFiles(run).reused, {_FROM: str(source.resolve())})


def reused_from(run: Path) -> str | None:
    """The folder that a run was copied from; None where it was trained here.

    Raises:
        DamagedFileError: the note is not as it was written.
    """
    try:
        found, _ = read_sealed(RunFiles(run).reused, "Delete it: the run then counts as trained here.")
    except FileNotFoundError:
        return None
    return str(found.get(_FROM))
