"""What was recognised: which source, with which options, reads a folder."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Recognised:
    """A source and the options with which it reads a path.

    Args:
        key: of the source.
        options: to give it besides the path.
        reasons: what was seen, and what was guessed from it.
        path: what the source reads, where it is a folder below the one that was given.
    """

    key: str
    options: dict[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    path: Path | None = None
