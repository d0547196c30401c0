"""Showing how training goes: a live panel on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from preceptor.plan.stage import Stage


class Progress:
    """Watches the training loop. Use as a context manager.

    Args:
        console: where to show; its ``is_terminal`` decides between panel and lines.
        monitor: the validation score shown for each network.
    """

    def __init__(self, console: Console, monitor: str) -> None:
        self.console = console
        self.monitor = monitor
        self._live: Live | None = None
        self._stage: Stage | None = None
        self._steps = 0
        self._epoch = 0
        self._step = 0
        self._done_steps = 0
        self._images = 0
        self._waited = 0.0
        self._since = self._shown = time.monotonic()
        self._losses: Mapping[str, float] = {}
        self._scores: Mapping[str, Mapping[str, float]] = {}

    def __enter__(self) -> "Progress":
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def stage(self, stage: Stage, first_epoch: int, steps: int) -> None:
        """A stage begins, or goes on after ``first_epoch`` epochs; an epoch has ``steps`` steps."""
        self._stage, self._steps, self._epoch, self._step = stage, steps, first_epoch, 0
        self._done_steps = self._images = 0
        self._waited = 0.0
        self._losses, self._scores = {}, {}
        self._since = time.monotonic()
        if first_epoch < stage.last_epoch:
            resumed = f", going on after epoch {first_epoch}" if first_epoch > stage.first_epoch else ""
            names = ", ".join(name if member.trains else f"{name} (frozen)" for name, member in stage.members.items())
            epochs, phase = stage.last_epoch - stage.first_epoch, stage.phase_end
            part = f" (of {phase}, after {stage.first_epoch})" if epochs < phase else ""
            self.console.print(f"stage {stage.name}: {names}; {epochs} epochs{part} of {steps} steps{resumed}")

    def step(self, epoch: int, step: int, images: int, waited: float) -> None:
        """A step is done; it waited ``waited`` seconds for its batch."""
        self._epoch, self._step = epoch, step
        self._done_steps += 1
        self._images += images
        self._waited += waited
        now = time.monotonic()
        if self._live and now - self._shown > 0.25:
            self._shown = now
            self._live.update(self._panel(), refresh=True)

    def epoch(self, epoch: int, losses: Mapping[str, float], scores: Mapping[str, Mapping[str, float]]) -> None:
        """An epoch is done; one that was not validated is not told."""
        if not scores:
            return
        self._losses, self._scores = losses, scores
        assert self._stage is not None
        parts = [
            f"{name} loss {self._loss(name):.3f} {self.monitor} {scores[name][self.monitor]:.3f}" for name in scores
        ]
        self.console.print(
            f"  {self._stage.name} epoch {epoch}/{self._stage.phase_end}  {'  '.join(parts)}  {self._speed()}",
            highlight=False,
        )

    def _loss(self, network: str) -> float:
        return sum(v for name, v in self._losses.items() if name.split("/")[0].split("->")[-1] == network)

    def _speed(self) -> str:
        assert self._stage is not None
        seconds = max(time.monotonic() - self._since, 1e-9)
        left = (self._stage.phase_end - self._epoch) * self._steps + self._steps - self._step
        eta = seconds / max(self._done_steps, 1) * left
        return f"{self._images / seconds:.0f} img/s, data wait {self._waited / seconds:.1%}, ETA {_clock(eta)}"

    def _panel(self) -> Group:
        assert self._stage is not None
        head = Text(
            f"{self._stage.name}: epoch {self._epoch}/{self._stage.phase_end}, step {self._step}/{self._steps}, "
            f"{self._speed()}"
        )
        table = Table(box=None)
        for column in ("network", "train loss", f"validation {self.monitor}"):
            table.add_column(column)
        for name in self._stage.learners:
            known = name in self._scores
            score = f"{self._scores[name][self.monitor]:.4f}" if known else "-"
            table.add_row(name, f"{self._loss(name):.4f}" if known else "-", score)
        return Group(head, table)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
