"""Showing how training goes: a live panel on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from preceptor.measures.features import KNOWLEDGE_LOSS
from preceptor.plan.stage import Stage


class WholeRun:
    """How much of all stages is done, counted in epochs."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._epochs = {stage.name: stage.last_epoch - stage.first_epoch for stage in stages}
        self._now = ""

    def begin(self, stage: str) -> None:
        """A stage begins."""
        self._now = stage

    @property
    def place(self) -> str:
        """Which stage of how many is trained."""
        names = list(self._epochs)
        return f"stage {names.index(self._now) + 1} of {len(names)}" if self._now in names else ""

    def epochs_left(self, in_stage: float) -> float:
        """Epochs of all that is to come, where ``in_stage`` are left in the present stage."""
        names = list(self._epochs)
        later = names[names.index(self._now) + 1 :] if self._now in names else []
        return in_stage + sum(self._epochs[name] for name in later)

    def share(self, in_stage: float) -> float | None:
        """The share that is done; None where the stages are not known."""
        every = sum(self._epochs.values())
        return 1 - self.epochs_left(in_stage) / every if every and self._now in self._epochs else None


class ProgressPanel:
    """Watches the training loop. Use as a context manager.

    Args:
        console: where to show; its ``is_terminal`` decides between panel and lines.
        monitor: the validation score shown for each network.
        stages: all that will be trained, in order; the panel shows how far the whole of it is.
    """

    def __init__(self, console: Console, monitor: str, stages: Sequence[Stage] = ()) -> None:
        self.console = console
        self.monitor = monitor
        self._whole = WholeRun(stages)
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

    def __enter__(self) -> "ProgressPanel":
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
        self._whole.begin(stage.name)
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
        monitor = self._monitor
        parts = [f"{name} loss {self._loss(name):.3f} {monitor} {scores[name][monitor]:.3f}" for name in scores]
        self.console.print(
            f"  {self._stage.name} epoch {epoch}/{self._stage.phase_end}  {'  '.join(parts)}  {self._speed()}",
            highlight=False,
        )

    @property
    def _monitor(self) -> str:
        """The score by which the stage chooses weights."""
        return KNOWLEDGE_LOSS if self._stage is not None and self._stage.unlabelled else self.monitor

    def _loss(self, network: str) -> float:
        return sum(v for name, v in self._losses.items() if name.split("/")[0].split("->")[-1] == network)

    def _speed(self) -> str:
        assert self._stage is not None
        seconds = max(time.monotonic() - self._since, 1e-9)
        eta = seconds / max(self._done_steps, 1) * self._steps_left(self._stage.phase_end)
        return f"{self._images / seconds:.0f} img/s, data wait {self._waited / seconds:.1%}, ETA {_clock(eta)}"

    def _steps_left(self, last_epoch: int) -> int:
        return (last_epoch - self._epoch) * self._steps + self._steps - self._step

    def _panel(self) -> Group:
        assert self._stage is not None
        head = Text(
            f"{self._stage.name}: epoch {self._epoch}/{self._stage.phase_end}, step {self._step}/{self._steps}, "
            f"{self._speed()}"
        )
        return Group(*self._whole_run(), head, self._scores_table())

    def _whole_run(self) -> Iterator[RenderableType]:
        """A bar for all stages; how long the later ones take is guessed from the epochs of this one."""
        assert self._stage is not None
        epochs = self._steps_left(self._stage.last_epoch) / max(self._steps, 1)
        share, left = self._whole.share(epochs), self._whole.epochs_left(epochs)
        if share is None:
            return
        seconds = max(time.monotonic() - self._since, 1e-9)
        eta = seconds / max(self._done_steps, 1) * left * self._steps
        yield Text(f"run: {self._whole.place}, {share:.0%} of the epochs, about {_clock(eta)} left")
        yield ProgressBar(total=1.0, completed=share, width=min(40, self.console.width))

    def _scores_table(self) -> Table:
        assert self._stage is not None
        table = Table(box=None)
        for column in ("network", "train loss", f"validation {self._monitor}"):
            table.add_column(column)
        for name in self._stage.learners:
            known = name in self._scores
            score = f"{self._scores[name][self._monitor]:.4f}" if known else "-"
            table.add_row(name, f"{self._loss(name):.4f}" if known else "-", score)
        return table


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
