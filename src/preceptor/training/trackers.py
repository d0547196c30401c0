"""Sending what is measured to other tools, beside ``metrics.csv``."""

from collections.abc import Mapping
from pathlib import Path

from preceptor.errors import UserError
from preceptor.extras import install_command
from preceptor.plan.stage import Stage


class TensorBoard:
    """Watches the training loop and writes TensorBoard events; a resumed run goes on in the same folder.

    Raises:
        UserError: the extra is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UserError(
                f"training.tensorboard: TensorBoard is not installed: {install_command('tensorboard')}"
            ) from None
        self._writer = SummaryWriter(str(folder))
        self._stage = ""

    def stage(self, stage: Stage, first_epoch: int, steps: int) -> None:
        """A stage begins: its name heads its curves."""
        self._stage = stage.name

    def step(self, epoch: int, step: int, images: int, waited: float) -> None:
        """Steps are not written: reading their losses would wait for the device."""

    def epoch(self, epoch: int, losses: Mapping[str, float], scores: Mapping[str, Mapping[str, float]]) -> None:
        """Write the epoch's losses and validation scores."""
        curves = {f"train/{name}": value for name, value in losses.items()}
        curves |= {f"validation/{n}/{metric}": value for n, found in scores.items() for metric, value in found.items()}
        for name, value in curves.items():
            self._writer.add_scalar(f"{self._stage}/{name}", value, epoch)
        self._writer.flush()
