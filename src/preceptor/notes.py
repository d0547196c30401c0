"""Sentences for the user that come up on the way."""

import sys
from collections.abc import Callable

Note = Callable[[str], None]
"""Says a line to the user."""


def note_aside(line: str) -> None:
    """Say a line to the user where the caller has no better place for it."""
    print(f"note: {line}", file=sys.stderr)
