"""One value of a recipe, and why it is that."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DraftedValue:
    """One value of a recipe.

    Args:
        key: where it stands, as ``data.image_size``; one or two names.
        value: what a recipe says there.
        why: the reasons, a sentence each.
    """

    key: str
    value: Any
    why: tuple[str, ...] = ()
