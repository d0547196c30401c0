"""Where everything is printed: names that others gave do nothing there, and whoever stops reading stops the work."""

import signal
import threading
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from preceptor.errors import ClosedOutputError
from preceptor.quoting import plain

_ANY_WIDTH = 10_000


class Screen(Console):
    """A console that shows texts as they are: no markup, no smileys, no control characters.

    Args:
        farewell: what to say on the error output where the output is closed before anything is lost.
        more: of :class:`rich.console.Console`.
    """

    def __init__(self, *, farewell: str = "", **more: Any) -> None:
        super().__init__(markup=False, emoji=False, **more)
        self.farewell = farewell

    def render_str(self, text: str, **more: Any) -> Text:
        """``text`` with control characters written out; rich asks for every text, also of a table's cells."""
        return super().render_str(plain(text), **more)

    def print(self, *objects: Any, **more: Any) -> None:
        """As rich does it, but that a table is as wide as its words: a narrower terminal cuts no number."""
        before = self._width
        if len(objects) == 1 and isinstance(objects[0], Table):
            wide = self.options.update(width=_ANY_WIDTH)
            self.width = max(self.width, Measurement.get(self, wide, objects[0]).minimum)
        try:
            super().print(*objects, **more)
        finally:
            self._width = before

    def on_broken_pipe(self) -> None:
        """What reads the output has ended, as ``| head`` does: training ends like at SIGTERM, with a checkpoint."""
        self.quiet = True
        handler = signal.getsignal(signal.SIGTERM)
        if callable(handler) and threading.current_thread() is threading.main_thread():
            signal.raise_signal(signal.SIGTERM)
        else:
            raise ClosedOutputError(self.farewell)
