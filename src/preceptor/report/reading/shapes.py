"""Whether a recipe has the shape that the report reads, whoever wrote it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from preceptor.errors import UserError

_PARTS = ("data", "split", "augment", "networks", "technique", "task_loss", "training", "teacher_training")


def check_recipe(path: Path, recipe: Mapping[str, Any]) -> None:
    """Refuse a recipe whose parts are no mappings.

    Raises:
        UserError: which.
    """
    for part in _PARTS:
        if recipe.get(part) is not None and not isinstance(recipe[part], Mapping):
            raise UserError(f"{path}: {part} should be a mapping of keys, got {type(recipe[part]).__name__}")
