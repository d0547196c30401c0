"""``result.json`` of a run, and through it the other files of a finished run, verified.

It holds ``files``, the SHA-256 of every file that a finished run leaves, and its own seal. The seal leaves out how long
training took: runs that are equal bit for bit bear equal seals.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.errors import DamagedFileError, UserError
from preceptor.runs.names import ENVIRONMENT, LISTED, METRICS, RECIPE, RESULT
from preceptor.sealed import CHANGED, file_sha256, read_sealed, read_whole, write_sealed

_FILES = "files"
_TIMES = ("seconds", "images_per_second")
_STATUSES = ("complete", "validated")
_WANTED = {
    "task": str,
    "technique": str,
    "chosen": str,
    "test": dict,
    "validation": dict,
    "fidelity": dict,
    "parameters": dict,
}
"""What every result has had beside its status, with its type."""


@dataclass(frozen=True, slots=True, eq=False)
class RunResult:
    """What ``result.json`` says.

    Args:
        run: the run folder.
        values: its content but for what follows.
        files: path in the run folder -> SHA-256; empty where an older version wrote it.
        is_sealed: False where an older version wrote it: what is read is not verified.
    """

    run: Path
    values: Mapping[str, Any]
    files: Mapping[str, str]
    is_sealed: bool

    @property
    def is_complete(self) -> bool:
        """Whether the test part has been opened."""
        return bool(self.values["status"] == "complete")

    @property
    def validation(self) -> dict[str, dict[str, float]]:
        """Validation scores by network."""
        found: dict[str, dict[str, float]] = self._get("validation", dict)
        return found

    @property
    def chosen(self) -> str:
        """The network that was chosen on validation."""
        return str(self._get("chosen", str))

    def whole(self) -> dict[str, Any]:
        """All values, where none of those is missing that every run has left.

        Raises:
            DamagedFileError: one is.
        """
        for key, kind in _WANTED.items():
            self._get(key, kind)
        return dict(self.values)

    def _get(self, key: str, kind: type) -> Any:
        value = self.values.get(key)
        if not isinstance(value, kind):
            reason = f"is no result of a run: {key!r} is missing or of another kind"
            raise DamagedFileError(self.run / RESULT, reason, _remedy(self.run, RESULT))
        return value

    def verify(self, *names: str) -> None:
        """Compare files, and all in folders, of these names with their checksums; what is gone is passed over.

        Raises:
            DamagedFileError: a file is not what the run left.
        """
        for name, wanted in self.files.items():
            if any(name == one or name.startswith(f"{one}/") for one in names):
                path = self.run / name
                if path.is_file() and file_sha256(path) != wanted:
                    raise self._damaged(name)

    def gone(self, *names: str) -> list[str]:
        """Files of these names, and in folders of these names, that the run left and that are not there any more."""
        listed = (name for name in self.files if any(name == one or name.startswith(f"{one}/") for one in names))
        return [name for name in listed if not (self.run / name).exists()]

    def content(self, name: str) -> bytes:
        """The bytes of a file, verified.

        Raises:
            FileNotFoundError: it is gone.
            DamagedFileError: it is not what the run left.
        """
        content = read_whole(self.run / name)
        if name in self.files and hashlib.sha256(content).hexdigest() != self.files[name]:
            raise self._damaged(name)
        return content

    def _damaged(self, name: str) -> DamagedFileError:
        return DamagedFileError(self.run / name, CHANGED, _remedy(self.run, name))


def read_result(run: Path) -> RunResult | None:
    """The result of the run in a folder, None where it has none yet.

    Raises:
        DamagedFileError: ``result.json`` is not what the run left.
    """
    path = run / RESULT
    remedy = _remedy(run, RESULT)
    try:
        values, is_sealed = read_sealed(path, remedy, but=_TIMES)
    except FileNotFoundError:
        return None
    if values.get("status") not in _STATUSES:
        raise DamagedFileError(path, f"is no result of a run: its status is {values.get('status')!r}", remedy)
    files = values.pop(_FILES, {})
    return RunResult(run, values, files if is_sealed else {}, is_sealed)


def finished_run(run: Path, *, with_test: bool, instead: str = "") -> RunResult:
    """The result of a run that must be finished.

    Args:
        with_test: whether its test part must have been opened, too.
        instead: what else can be done where it has not been, for the error.

    Raises:
        UserError: it is not finished, or damaged.
    """
    result = read_result(run)
    if result is None:
        raise UserError(f"{run} is no finished run: it has no {RESULT}; finish it with `preceptor train`")
    if with_test and not result.is_complete:
        raise UserError(f"{run}: its test part is still sealed, as in every trial of a search{instead}")
    return result


def write_result(run: Path, values: Mapping[str, Any], files: Mapping[str, str] | None = None) -> None:
    """Finish a run: write its result, with the checksum of every file that is there.

    Args:
        files: checksums that are known, by path in the run folder.
    """
    sums = {name: (files or {}).get(name) or file_sha256(run / name) for name in _listed(run)}
    write_sealed(run / RESULT, {**values, _FILES: sums}, but=_TIMES)


def read_environment(run: Path) -> dict[str, Any] | None:
    """``environment.json``: on what a run was finished; None where there is none yet."""
    try:
        return read_sealed(run / ENVIRONMENT, _remedy(run, ENVIRONMENT))[0]
    except FileNotFoundError:
        return None


def unverified(run: Path) -> str:
    """What is said, once, of a run that an older version wrote."""
    return f"{run} was written before there were checksums: what is read of it is not verified"


def _listed(run: Path) -> Iterator[str]:
    for name in LISTED:
        path = run / name
        below = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (one.relative_to(run).as_posix() for one in below if one.is_file() and not one.name.startswith("."))


def _remedy(run: Path, name: str) -> str:
    if name == RESULT:
        return (
            f"Delete it; `preceptor train {run / RECIPE} --out {run}` then makes it anew from the checkpoints, "
            "without training."
        )
    if name in (METRICS, RECIPE):
        return f"Bring the file back, or delete {run} and train it again."
    return (
        f"Bring the file back, or delete {run / RESULT}: `preceptor train {run / RECIPE} --out {run}` then makes both "
        "anew from the checkpoints, without training."
    )
