"""``begun.json``: with which data, split and recipe a run began. A run goes on with the same, or not at all."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from preceptor.errors import DamagedFileError, UserError
from preceptor.files import write_text
from preceptor.runs.files import RunFiles
from preceptor.runs.finished import read_environment, read_finished, renew_sums
from preceptor.sealed import CHANGED, read_sealed, read_whole, write_sealed


@dataclass(frozen=True, slots=True)
class Begun:
    """What a run began with.

    Args:
        data: fingerprint of the packed images.
        split: SHA-256 of ``split.csv``.
        recipe: SHA-256 of ``recipe.yaml``.
    """

    data: str
    split: str
    recipe: str


def text_sha256(text: str) -> str:
    """SHA-256 of a text file's content."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_begun(run: Path) -> Begun | None:
    """What the run in a folder began with; None where an older version began it, or nothing did.

    Raises:
        DamagedFileError: the file is not what was written.
    """
    path = RunFiles(run).begun
    remedy = "Bring the file back, or delete it: the data are then compared by their split alone."
    try:
        values, is_sealed = read_sealed(path, remedy)
    except FileNotFoundError:
        return None
    if not is_sealed or not all(isinstance(values.get(key), str) for key in Begun.__slots__):
        raise DamagedFileError(path, CHANGED, remedy)
    return Begun(**{key: values[key] for key in Begun.__slots__})


def write_begun(run: Path, begun: Begun) -> None:
    """Note what a run begins with."""
    write_sealed(RunFiles(run).begun, asdict(begun))


def replace_recipe(run: Path, text: str) -> None:
    """Write another ``recipe.yaml`` of the same run, whose teacher has moved, and what is known about it.

    A process that is killed meanwhile leaves a run that wants this again.
    """
    files, begun = RunFiles(run), read_begun(run)
    read_finished(run)  # a damaged one is refused before anything is written
    if begun is not None:
        write_begun(run, replace(begun, recipe=text_sha256(text)))
    write_text(files.recipe, text)
    renew_sums(run, files.recipe, files.begun)


def known_fingerprint(run: Path) -> str | None:
    """Of the images that a run was trained on, None where that is not known."""
    begun = read_begun(run)
    if begun is not None:
        return begun.data
    found = (read_environment(run) or {}).get("data_fingerprint")
    return None if found is None else str(found)


def split_text(run: Path) -> bytes:
    """The content of ``split.csv`` of a run, verified where its checksum is known.

    Raises:
        FileNotFoundError: there is none.
        DamagedFileError: it is not what the run wrote.
    """
    content = read_whole(RunFiles(run).split)
    begun = read_begun(run)
    if begun is not None and hashlib.sha256(content).hexdigest() != begun.split:
        raise _damaged_split(run, CHANGED)
    return content


def require_same_data(run: Path, data: str, split: str, note: Callable[[str], None] | None = None) -> None:
    """Refuse data that have changed since a run began.

    Args:
        data: fingerprint of today's packed images.
        split: ``split.csv`` as it would be written today.
        note: says that a damaged ``split.csv`` is written anew, which the caller does; without, it is refused.

    Raises:
        UserError: other images, another split, or a damaged ``split.csv`` that is not written anew.
    """
    begun = read_begun(run)
    path = RunFiles(run).split
    there = read_whole(path) if path.exists() else None
    advice = "Bring the data back, or give another folder with --out."
    if begun is None:
        if there is not None and there != split.encode():
            raise UserError(
                f"{run}: the data has changed since this run began, or {path} was damaged: it differs from today's "
                f"split, so images that were trained on could be tested.\n{advice}"
            )
        return
    if begun.data != data:
        raise UserError(
            f"{run}: the data has changed since this run began: the packed images are others (fingerprint "
            f"{data[:12]}, it began with {begun.data[:12]}).\n{advice}"
        )
    if begun.split != text_sha256(split):
        raise UserError(
            f"{run}: the split of the same images is another than when this run began, so images that were trained "
            "on could be tested; another version of preceptor splits otherwise.\n"
            "Give another folder with --out, or go on with the version that began it."
        )
    if there != split.encode():
        what = "is missing" if there is None else CHANGED
        if note is None:
            raise _damaged_split(run, what)
        note(f"{path} {what}; the data are those that the run began with, and it is written anew")


def _damaged_split(run: Path, what: str) -> DamagedFileError:
    files = RunFiles(run)
    again = f"`preceptor train {files.recipe} --out {run}`"
    if files.result.exists():
        remedy = f"Delete {files.result}: {again} then makes both anew from data and checkpoints, without training."
    else:
        remedy = f"{again} goes on with the run and writes it anew."
    return DamagedFileError(files.split, what, remedy)
