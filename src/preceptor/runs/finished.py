"""A finished run on disk: its result, and through it its other files, verified.

``result.json`` holds ``files``, the SHA-256 of every file that a finished run leaves, and its own seal. The seal leaves
out how long training took: runs that are equal bit for bit bear equal seals.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.errors import DamagedFileError, UserError
from preceptor.runs.files import RunFiles
from preceptor.runs.result import RunResult, result_from
from preceptor.sealed import CHANGED, file_sha256, read_sealed, read_whole, write_sealed

_FILES = "files"
_TIMES = ("seconds", "images_per_second")


@dataclass(frozen=True, slots=True, eq=False)
class FinishedRun:
    """A run that has a result.

    Args:
        sums: path in the run folder -> SHA-256; empty where an older version wrote it.
        is_sealed: False where an older version wrote it: what is read is not verified.
    """

    files: RunFiles
    result: RunResult
    sums: Mapping[str, str]
    is_sealed: bool

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.files.folder

    def verify(self, *paths: Path) -> None:
        """Compare files, and all in folders, at these paths with their checksums; what is gone is passed over.

        Raises:
            DamagedFileError: a file is not what the run left.
        """
        for name in self._listed_in(paths):
            path = self.folder / name
            if path.is_file() and file_sha256(path) != self.sums[name]:
                raise self._damaged(path)

    def gone(self, *paths: Path) -> list[Path]:
        """Files at these paths, and in folders there, that the run left and that are not there any more."""
        return [path for name in self._listed_in(paths) if not (path := self.folder / name).exists()]

    def content(self, path: Path) -> bytes:
        """The bytes of a file, verified.

        Raises:
            FileNotFoundError: it is gone.
            DamagedFileError: it is not what the run left.
        """
        content, name = read_whole(path), self._name(path)
        if name in self.sums and hashlib.sha256(content).hexdigest() != self.sums[name]:
            raise self._damaged(path)
        return content

    def _listed_in(self, paths: Iterable[Path]) -> Iterator[str]:
        names = [self._name(path) for path in paths]
        return (one for one in self.sums if any(one == name or one.startswith(f"{name}/") for name in names))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _damaged(self, path: Path) -> DamagedFileError:
        return DamagedFileError(path, CHANGED, _remedy(self.files, path))


def read_finished(folder: Path) -> FinishedRun | None:
    """The finished run in ``folder``, None where it has no result yet.

    Raises:
        DamagedFileError: ``result.json`` is not what the run left.
    """
    files = RunFiles(folder)
    found = _read(files)
    if found is None:
        return None
    values, is_sealed = found
    sums = values.pop(_FILES, {})
    result = result_from(values, files.result, _remedy(files, files.result))
    return FinishedRun(files, result, sums if is_sealed else {}, is_sealed)


def _read(files: RunFiles) -> tuple[dict[str, Any], bool] | None:
    """The JSON object of ``result.json``, and whether it is sealed; None where there is none."""
    try:
        return read_sealed(files.result, _remedy(files, files.result), but=_TIMES)
    except FileNotFoundError:
        return None


def finished_run(folder: Path, *, with_test: bool, instead: str = "") -> FinishedRun:
    """The run in ``folder``, which must be finished.

    Args:
        with_test: whether its test part must have been opened, too.
        instead: what else can be done where it has not been, for the error.

    Raises:
        UserError: it is not finished, or damaged.
    """
    found = read_finished(folder)
    if found is None:
        raise UserError(
            f"{folder} is no finished run: it has no {RunFiles(folder).result.name}; finish it with `preceptor train`"
        )
    if with_test and not found.result.is_complete:
        raise UserError(f"{folder}: its test part is still sealed, as in every trial of a search{instead}")
    return found


def write_result(folder: Path, result: RunResult, sums: Mapping[str, str] | None = None) -> None:
    """Finish a run: write its result, with the checksum of every file that is there.

    Args:
        sums: checksums that are known, by path in the run folder.
    """
    files = RunFiles(folder)
    known = {name: (sums or {}).get(name) or file_sha256(folder / name) for name in _listed(files)}
    write_sealed(files.result, {**result.to_json(), _FILES: known}, but=_TIMES)


def renew_sums(folder: Path, *paths: Path) -> None:
    """Note the checksums of files of a finished run that were written anew; its result stays as it is."""
    files = RunFiles(folder)
    values, is_sealed = _read(files) or ({}, False)
    if not is_sealed:
        return
    names = (path.relative_to(folder).as_posix() for path in paths)
    changed = {name: file_sha256(folder / name) for name in names if name in values[_FILES]}
    write_sealed(files.result, {**values, _FILES: {**values[_FILES], **changed}}, but=_TIMES)


def read_environment(folder: Path) -> dict[str, Any] | None:
    """On what a run was finished; None where there is no such file yet."""
    files = RunFiles(folder)
    try:
        return read_sealed(files.environment, _remedy(files, files.environment))[0]
    except FileNotFoundError:
        return None


def unverified(folder: Path) -> str:
    """What is said, once, of a run that an older version wrote."""
    return f"{folder} was written before there were checksums: what is read of it is not verified"


def _listed(files: RunFiles) -> Iterator[str]:
    for path in files.listed:
        below = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (
            one.relative_to(files.folder).as_posix() for one in below if one.is_file() and not one.name.startswith(".")
        )


def _remedy(files: RunFiles, path: Path) -> str:
    again = f"`preceptor train {files.recipe} --out {files.folder}` then makes"
    if path == files.result:
        return f"Delete it; {again} it anew from the checkpoints, without training."
    if path in (files.metrics, files.recipe):
        return f"Bring the file back, or delete {files.folder} and train it again."
    return f"Bring the file back, or delete {files.result}: {again} both anew from the checkpoints, without training."
