"""What comes up while a run is trained, for the user now and for its result later."""

from collections.abc import Iterable

from rich.console import Console


class Notes:
    """Sentences that are said once and kept.

    Args:
        said: what the user was told before.
    """

    def __init__(self, console: Console, said: Iterable[str] = ()) -> None:
        self.console = console
        self.kept = list(said)

    def add(self, note: str) -> None:
        """Say a sentence, and keep it for the result; nothing where it is known."""
        if note not in self.kept:
            self.console.print(f"note: {note}")
            self.kept.append(note)
