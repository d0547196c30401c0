"""TensorBoard: event files in the run's folder."""

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from preceptor.training.trackers.curves import RunTracker


class TensorBoard(RunTracker):
    """Writes events; a resumed run goes on in the same folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._writer = SummaryWriter(str(folder))

    def write(self, stage: str, epoch: int, curves: Mapping[str, float]) -> None:
        """One scalar a curve, at the epoch."""
        for name, value in curves.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()
