"""The run folder: everything a run leaves, readable without preceptor."""

import io
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from preceptor.errors import DamagedFileError, UserError
from preceptor.files import file_lock, write_text
from preceptor.recipe import Recipe, load_recipe
from preceptor.runs.begun import Begun, known_fingerprint, read_begun, require_same_data, text_sha256, write_begun
from preceptor.runs.metrics import MetricsLog
from preceptor.runs.names import CHECKPOINTS, LOCK, METRICS, RECIPE, RESULT, SPLIT
from preceptor.runs.place import remove_leftovers
from preceptor.runs.result import RunResult, read_result, unverified, write_result
from preceptor.sealed import CHANGED, file_sha256, read_sealed, read_zip, write_sealed, write_sealed_zip

_ELSEWHERE = ("path", "cache")
"""Parts of a recipe's ``data`` that say where things are, not what they are."""


class RunFolder:
    """Paths and safe writing of one run. Nothing is on disk before :meth:`begin`.

    Args:
        note: says a line to the user.

    Attributes:
        moved_from: where the data were when the run began, if the recipe says another place now.

    Raises:
        UserError: the folder holds a run of another recipe that has begun to train.
    """

    def __init__(
        self, path: Path, recipe: Recipe, *, writes: bool = True, note: Callable[[str], None] = lambda line: None
    ) -> None:
        self.path = path
        self.writes = writes
        self.log = MetricsLog(path / METRICS)
        self.moved_from: str | None = None
        self._say_note = note
        self._told: set[str] = set()
        self._recipe = recipe.to_yaml()
        self._is_alone = False
        if self._has_trained:
            self._require_recipe(recipe)

    def _require_recipe(self, recipe: Recipe) -> None:
        """Refuse another recipe than that of the run; where the data lie may differ."""
        written, begun = self.path / RECIPE, read_begun(self.path)
        if begun and begun.recipe == text_sha256(self._recipe):
            return  # whatever became of recipe.yaml, it is written anew
        remedy = f"Bring the file back, or give the recipe with which the run began, or delete {self.path}."
        if not written.exists():
            if begun:
                raise DamagedFileError(written, "is missing", remedy)
            return
        if begun and file_sha256(written) != begun.recipe:
            raise DamagedFileError(written, CHANGED, remedy)
        # What an older version wrote lacks options that have come since: reading it fills in their defaults.
        found, _ = load_recipe(written)
        if found == recipe:
            return
        has_moved = found.data.path != recipe.data.path
        if _anywhere(found, has_moved) != _anywhere(recipe, has_moved) or (
            has_moved and known_fingerprint(self.path) is None
        ):
            raise UserError(
                f"{self.path} holds a run of another recipe ({_first_difference(found.to_yaml(), self._recipe)}).\n"
                "Give another folder with --out, or delete this one to start anew."
            )
        self.moved_from = str(found.data.path) if has_moved else None

    def tell_once(self, line: str) -> None:
        """Say a line to the user, the first time."""
        if line not in self._told:
            self._told.add(line)
            self._say_note(line)

    def require_data(self, fingerprint: str, split: str) -> None:
        """Refuse data that have changed since the run began.

        Args:
            fingerprint: of the packed images.
            split: ``split.csv`` as these are split.

        Raises:
            UserError: they have.
        """
        if not self._has_trained:
            return
        if self.moved_from is not None and known_fingerprint(self.path) != fingerprint:
            raise UserError(
                f"{self.path} holds a run on the data in {self.moved_from}, and those that the recipe names now are "
                "others.\nGive another folder with --out, or the recipe with which the run began."
            )
        require_same_data(self.path, fingerprint, split, self.tell_once)
        if read_begun(self.path) is None:
            self.tell_once(unverified(self.path))
        if self.moved_from is not None:
            self.tell_once(
                f"the data were in {self.moved_from} when this run began; where they are now, they are equal"
            )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from writing here; the system lets go when this one dies.

        Raises:
            UserError: another process is at work here.
        """
        with ExitStack() as stack:
            if self.writes:
                _make_folder(self.path)
                try:
                    self._is_alone = stack.enter_context(file_lock(self.path / LOCK, wait=False))
                except BlockingIOError:
                    raise UserError(
                        f"another process is training in {self.path}; wait for it, or give another folder with --out"
                    ) from None
            yield

    def begin(self, fingerprint: str, split: str) -> None:
        """Make the folder and write what the run begins with; what a killed process left half written goes.

        Args:
            fingerprint: of the packed images.
            split: the content of ``split.csv``.
        """
        if not self.writes:
            return
        _make_folder(self.path)
        remove_leftovers(self.path, is_alone=self._is_alone)
        recipe, begun = self.path / RECIPE, read_begun(self.path)
        is_same = begun is not None and begun.recipe == text_sha256(self._recipe)
        if begun and is_same and recipe.exists() and file_sha256(recipe) != begun.recipe:
            self.tell_once(f"{recipe} {CHANGED}; the recipe given is that of the run, and it is written anew")
        write_begun(self.path, Begun(fingerprint, text_sha256(split), text_sha256(self._recipe)))
        write_text(recipe, self._recipe)
        write_text(self.path / SPLIT, split)

    @property
    def _has_trained(self) -> bool:
        return any((self.path / name).exists() for name in (CHECKPOINTS, METRICS, RESULT))

    @property
    def result(self) -> RunResult | None:
        """``result.json`` of a finished run, else None."""
        found = read_result(self.path)
        if found is not None and not found.is_sealed:
            self.tell_once(unverified(self.path))
        return found

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Finish the run."""
        if self.writes:
            self.log.cut()
            write_result(self.path, result, {METRICS: self.log.digest})

    def last(self, stage: str) -> Path:
        """Checkpoint from which ``stage`` goes on."""
        return self.path / CHECKPOINTS / stage / "last.ckpt"

    def weights(self, stage: str, network: str, which: str | int = "best") -> Path:
        """State of ``network``: the best by validation, or that after an epoch of the stage."""
        name = which if isinstance(which, str) else f"epoch-{which:04d}"
        return self.path / CHECKPOINTS / stage / f"{network}.{name}.ckpt"

    def choices(self, stage: str) -> dict[str, Any] | None:
        """What was decided when ``stage`` began; None where nothing was."""
        try:
            made, is_sealed = read_sealed(self._choices(stage), self._bring_back)
        except FileNotFoundError:
            return None
        if not is_sealed:
            self.tell_once(unverified(self.path))
        return made

    def write_choices(self, stage: str, made: Mapping[str, Any]) -> None:
        """Keep what was decided."""
        if self.writes:
            write_sealed(self._choices(stage), made)

    def _choices(self, stage: str) -> Path:
        return self.path / CHECKPOINTS / stage / "choices.json"

    def save(self, path: Path, state: Mapping[str, Any]) -> None:
        """Write tensors and plain values, loadable with ``weights_only=True``."""
        if self.writes:
            buffer = io.BytesIO()  # torch's own writer loses the reason when a disk is full
            torch.save(dict(state), buffer)
            write_sealed_zip(path, buffer.getbuffer())

    def load(self, path: Path) -> dict[str, Any]:
        """Read what :meth:`save` wrote, onto the CPU.

        Raises:
            DamagedFileError: it is not what was written.
        """
        try:
            content, is_sealed = read_zip(path, self._bring_back)
            state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise DamagedFileError(path, "is missing", self._bring_back) from None
        except (RuntimeError, EOFError, pickle.UnpicklingError):
            raise DamagedFileError(path, "holds no checkpoint", self._bring_back) from None
        if not is_sealed:
            self.tell_once(unverified(self.path))
        return state

    @property
    def _bring_back(self) -> str:
        return f"Bring the file back, or delete {self.path / CHECKPOINTS} to train this run anew."

    @property
    def metrics(self) -> Path:
        """The long-form table of everything measured while training."""
        return self.log.path

    def resume_metrics(self, size: int, digest: str) -> None:
        """Go on from the ``metrics.csv`` that a checkpoint knows.

        Raises:
            DamagedFileError: it is not there any more.
        """
        if self.writes:
            self.log.goes_on_from(size, digest)

    def replace_metrics(self, text: str) -> None:
        """Write the whole of ``metrics.csv``."""
        if self.writes:
            write_text(self.metrics, "")
            self.log = MetricsLog(self.metrics)
            self.log.append_text(text)

    def cut_metrics(self) -> None:
        """Drop rows that were measured after the checkpoint from which training goes on."""
        if self.writes:
            self.log.cut()

    def append_metrics(self, rows: Iterable[tuple[str, int, str, str, str, float]]) -> None:
        """Add rows: stage, epoch, network, split, metric, value."""
        if self.writes:
            self.log.append(rows)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the run folder {path}: {error.strerror}; give another with --out") from None


def _anywhere(recipe: Recipe, has_moved: bool) -> dict[str, Any]:
    """The recipe but for where its data lie, and for its name where they have moved: that may be their folder's."""
    raw = recipe.model_dump(mode="json", exclude={"name"} if has_moved else None)
    raw["data"] = {key: value for key, value in raw["data"].items() if key not in _ELSEWHERE}
    return raw


def _first_difference(old: str, new: str) -> str:
    for before, after in zip(old.splitlines(), new.splitlines(), strict=False):
        if before != after:
            return f"it says `{before.strip()}`, this one `{after.strip()}`"
    return "of another length"
