"""What every tool is told: losses and validation scores of an epoch, under names that begin with the stage."""

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from preceptor.files import write_text
from preceptor.plan.stage import Stage


class RunTracker:
    """Watches the training loop and hands the curves of each epoch on; close it when training has ended."""

    def __init__(self) -> None:
        self._stage = ""

    def stage(self, stage: Stage, first_epoch: int, steps: int) -> None:
        """A stage begins: its name heads its curves."""
        self._stage = stage.name

    def step(self, epoch: int, step: int, images: int, waited: float) -> None:
        """Steps are not told: reading their losses would wait for the device."""

    def epoch(self, epoch: int, losses: Mapping[str, float], scores: Mapping[str, Mapping[str, float]]) -> None:
        """Tell the epoch's losses and validation scores."""
        curves = {f"train/{name}": value for name, value in losses.items()}
        curves |= {f"validation/{n}/{metric}": value for n, found in scores.items() for metric, value in found.items()}
        self.write(self._stage, epoch, {f"{self._stage}/{name}": value for name, value in curves.items()})

    def write(self, stage: str, epoch: int, curves: Mapping[str, float]) -> None:
        """Hand one value of each curve on."""
        raise NotImplementedError

    def close(self) -> None:
        """Training has ended; what is held back is written."""
        raise NotImplementedError


def lasting_id(folder: Path) -> str:
    """The name under which a tool knows the run; a resumed run has the same."""
    kept = folder / "run_id"
    if not kept.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(kept, uuid.uuid4().hex[:12])
    return kept.read_text(encoding="utf-8").strip()


def flat_settings(raw: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys of a recipe with their values."""
    for key, value in raw.items():
        if isinstance(value, Mapping) and value:
            yield from flat_settings(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
