"""The run folder: everything a run leaves, readable without preceptor."""

import io
import json
import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from preceptor.errors import UserError
from preceptor.files import alone, write_json, write_text, write_with
from preceptor.recipe import Recipe, load_recipe

HEADER = "stage,epoch,network,split,metric,value\n"


class RunFolder:
    """Paths and safe writing of one run. Nothing is on disk before :meth:`begin`.

    Raises:
        UserError: the folder holds a run of another recipe that has begun to train.
    """

    def __init__(self, path: Path, recipe: Recipe, *, writes: bool = True) -> None:
        self.path = path
        self.writes = writes
        self._recipe = recipe.to_yaml()
        written = path / "recipe.yaml"
        if written.exists() and self._has_trained:
            # What an older version wrote lacks options that have come since: reading it fills in their defaults.
            found, _ = load_recipe(written)
            if found != recipe:
                raise UserError(
                    f"{path} holds a run of another recipe ({_first_difference(found.to_yaml(), self._recipe)}).\n"
                    "Give another folder with --out, or delete this one to start anew."
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
                    stack.enter_context(alone(self.path / ".lock", wait=False))
                except BlockingIOError:
                    raise UserError(
                        f"another process is training in {self.path}; wait for it, or give another folder with --out"
                    ) from None
            yield

    def begin(self) -> None:
        """Make the folder and write ``recipe.yaml``; what a killed process left half written goes."""
        if self.writes:
            _make_folder(self.path)
            for left in self.path.rglob(".*.part"):
                left.unlink(missing_ok=True)
            write_text(self.path / "recipe.yaml", self._recipe)

    @property
    def _has_trained(self) -> bool:
        return any((self.path / name).exists() for name in ("checkpoints", "metrics.csv", "result.json"))

    @property
    def result(self) -> dict[str, Any] | None:
        """``result.json`` of a finished run, else None."""
        file = self.path / "result.json"
        return json.loads(file.read_text()) if file.exists() else None

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Finish the run."""
        if self.writes:
            write_json(self.path / "result.json", result)

    def last(self, stage: str) -> Path:
        """Checkpoint from which ``stage`` goes on."""
        return self.path / "checkpoints" / stage / "last.ckpt"

    def weights(self, stage: str, network: str, which: str | int = "best") -> Path:
        """State of ``network``: the best by validation, or that after an epoch of the stage."""
        name = which if isinstance(which, str) else f"epoch-{which:04d}"
        return self.path / "checkpoints" / stage / f"{network}.{name}.ckpt"

    def choices(self, stage: str) -> dict[str, Any] | None:
        """What was decided when ``stage`` began; None where nothing was."""
        file = self._choices(stage)
        return json.loads(file.read_text()) if file.exists() else None

    def write_choices(self, stage: str, made: Mapping[str, Any]) -> None:
        """Keep what was decided."""
        if self.writes:
            write_json(self._choices(stage), made)

    def _choices(self, stage: str) -> Path:
        return self.path / "checkpoints" / stage / "choices.json"

    def save(self, path: Path, state: Mapping[str, Any]) -> None:
        """Write tensors and plain values, loadable with ``weights_only=True``."""
        if self.writes:
            buffer = io.BytesIO()  # torch's own writer loses the reason when a disk is full
            torch.save(dict(state), buffer)
            write_with(path, lambda temporary: temporary.write_bytes(buffer.getbuffer()))

    def load(self, path: Path) -> dict[str, Any]:
        """Read what :meth:`save` wrote, onto the CPU."""
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError):
            raise UserError(
                f"checkpoint {path}: cannot be read, it was changed or damaged from outside.\n"
                f"Delete {self.path / 'checkpoints'} to train this run anew, or bring the file back."
            ) from None
        return state

    # metrics.csv ---------------------------------------------------------------------------------------------

    @property
    def metrics(self) -> Path:
        """The long-form table of everything measured while training."""
        return self.path / "metrics.csv"

    def metrics_size(self) -> int:
        """Bytes written so far, kept in checkpoints so that a resumed run drops what came after."""
        return self.metrics.stat().st_size if self.metrics.exists() else 0

    def rewind_metrics(self, size: int) -> None:
        """Cut ``metrics.csv`` back to ``size`` bytes."""
        if self.writes and self.metrics_size() > size:
            os.truncate(self.metrics, size)

    def drop_metrics(self, stage: str) -> None:
        """Cut ``metrics.csv`` before the first row of ``stage``, or the first that is not whole."""
        kept = 0
        for line in self.metrics.read_bytes().splitlines(keepends=True) if self.metrics.exists() else ():
            if line.startswith(f"{stage},".encode()) or not line.endswith(b"\n"):
                break
            kept += len(line)
        self.rewind_metrics(kept)

    def append_metrics(self, rows: Iterable[tuple[str, int, str, str, str, float]]) -> None:
        """Add rows: stage, epoch, network, split, metric, value."""
        if not self.writes:
            return
        lines = [f"{','.join(map(str, row[:5]))},{row[5]:.9g}\n" for row in rows]
        with self.metrics.open("a") as file:
            if file.tell() == 0:
                file.write(HEADER)
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the run folder {path}: {error.strerror}; give another with --out") from None


def _first_difference(old: str, new: str) -> str:
    for before, after in zip(old.splitlines(), new.splitlines(), strict=False):
        if before != after:
            return f"it says `{before.strip()}`, this one `{after.strip()}`"
    return "of another length"
