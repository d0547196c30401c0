"""How a study goes: a live overview on a terminal, a line for each ended job elsewhere."""

import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from preceptor.study.board import Board
from preceptor.study.work import log_of


class Overview:
    """Shows a board. Use as a context manager."""

    pause = 0.5
    """Seconds between two looks."""

    def __init__(self, console: Console, board: Board) -> None:
        self.console = console
        self.board = board
        self._live: Live | None = None
        self._began: dict[str, float] = {}
        self._took: list[float] = []

    def __enter__(self) -> "Overview":
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def show(self) -> None:
        """Look at the board."""
        now = time.monotonic()
        for id in self.board.having("running"):
            self._began.setdefault(id, now)
        if self._live:
            self._live.update(self._panel(now), refresh=True)

    def say(self, words: str) -> None:
        """Tell something about the study."""
        self.console.print(words, highlight=False, soft_wrap=True)

    def ended(self, id: str) -> None:
        """A job is over, or waits to be taken up again."""
        seconds = time.monotonic() - self._began.pop(id, time.monotonic())
        standing = self.board.standing[id]
        if standing.status == "done":
            self._took.append(seconds)
        words = {
            "done": f"done in {clock(seconds)}",
            "failed": f"FAILED: {standing.error}",
            "waiting": f"its worker died; attempt {standing.attempts + 1} goes on from its checkpoint",
        }
        said = words.get(standing.status, standing.status)
        self.console.print(f"{id}: {said}; {self.counts()}", highlight=False, soft_wrap=True)

    def counts(self) -> str:
        """``3 of 12 done, 2 running, 1 failed, ETA 4:30``."""
        have = {status: len(self.board.having(status)) for status in ("done", "running", "failed", "waiting")}
        text = f"{have['done']} of {len(self.board.jobs)} done, {have['running']} running, {have['failed']} failed"
        left = have["waiting"] + have["running"]
        if not (left and self._took):
            return text
        now = time.monotonic()
        mean = sum(self._took) / len(self._took)
        running = self.board.having("running")
        gone = sum(min(now - self._began.get(id, now), mean) for id in running)
        return f"{text}, ETA {clock((mean * left - gone) / max(have['running'], 1))}"

    def _panel(self, now: float) -> Group:
        table = Table(box=None)
        for column in ("running", "for", "says"):
            table.add_column(column, no_wrap=True)
        for id in self.board.having("running"):
            table.add_row(id, clock(now - self._began[id]), Text(self._last_line(id)))
        return Group(Text(f"{self.board.study.name}: {self.counts()}", style="bold"), table)

    def _last_line(self, id: str) -> str:
        try:
            with log_of(id, self.board.out).open("rb") as log:
                log.seek(max(0, log.seek(0, 2) - 400))
                lines = log.read().decode(errors="replace").strip().splitlines()
        except FileNotFoundError:
            return ""
        return lines[-1].strip() if lines else ""


def clock(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
