"""A study's index: which runs are its own. A study's command writes it, and reports read it."""

from pathlib import Path
from typing import Any

from preceptor.errors import DamagedFileError
from preceptor.sealed import file_sha256, read_sealed

INDEX, STUDY = "index.json", "study.yaml"

REMEDY = (
    "Give the same `preceptor study` command again: it finds finished runs by their folders and writes the index anew. "
    f"Or delete {INDEX}: a report then shows the runs without the study."
)


def read_index(out: Path) -> tuple[dict[str, Any], bool]:
    """``index.json`` of a study's folder, and whether it bears a seal; one without is of an older version.

    Raises:
        DamagedFileError: it is not what was written.
    """
    return read_sealed(out / INDEX, REMEDY)


def require_as_written(out: Path) -> None:
    """Refuse a resolved study that is not the one that was written.

    Raises:
        DamagedFileError: ``study.yaml`` or the index is damaged, or was edited.
    """
    sha256 = read_index(out)[0].get("study_sha256")
    if sha256 is not None and file_sha256(out / STUDY) != sha256:
        raise DamagedFileError(
            out / STUDY,
            f"is not what was written: {INDEX} has another checksum",
            f"Start the study from its own file with --out {out}. To run it with changes, copy {STUDY} to another "
            "folder and start it from there.",
        )
