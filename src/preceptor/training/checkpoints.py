"""The checkpoints of a run: sealed, and read back without running what is in them."""

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from preceptor.errors import DamagedFileError
from preceptor.runs.finished import unverified
from preceptor.runs.folder import RunFolder
from preceptor.sealed import read_sealed, read_zip, write_sealed, write_sealed_zip


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """What a run keeps of its networks and decisions, to go on from."""

    folder: RunFolder

    def last(self, stage: str) -> Path:
        """The checkpoint from which ``stage`` goes on."""
        return self.folder.files.last_checkpoint(stage)

    def weights(self, stage: str, network: str, which: str | int = "best") -> Path:
        """The state of ``network``: the best by validation, or that after an epoch of the stage."""
        return self.folder.files.weights(stage, network, which)

    def edges(self, stage: str, network: str) -> Path:
        """The state of the losses on the edges into ``network``, from the epoch of its best weights."""
        return self.folder.files.weights(stage, f"{network}_edges", "best")

    def choices(self, stage: str) -> dict[str, Any] | None:
        """What was decided when ``stage`` began; None where nothing was."""
        try:
            made, is_sealed = read_sealed(self.folder.files.choices(stage), self._bring_back)
        except FileNotFoundError:
            return None
        if not is_sealed:
            self.folder.tell_once(unverified(self.folder.path))
        return made

    def write_choices(self, stage: str, made: Mapping[str, Any]) -> None:
        """Keep what was decided."""
        if self.folder.writes:
            write_sealed(self.folder.files.choices(stage), made)

    def save(self, path: Path, state: Mapping[str, Any]) -> None:
        """Write tensors and plain values, loadable with ``weights_only=True``."""
        if self.folder.writes:
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
            self.folder.tell_once(unverified(self.folder.path))
        return state

    @property
    def _bring_back(self) -> str:
        return f"Bring the file back, or delete {self.folder.files.checkpoints} to train this run anew."
