"""Whether what a run's files hold has the shape that the report reads; whoever wrote them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from preceptor.errors import UserError

_PARTS = ("data", "split", "augment", "networks", "technique", "task_loss", "training", "teacher_training")
_SCORES = ("test", "validation", "fidelity")
_COSTS = ("parameters", "multiply_adds", "model_bytes")


def check_recipe(path: Path, recipe: Mapping[str, Any]) -> None:
    """Refuse a recipe whose parts are no mappings.

    Raises:
        UserError: which.
    """
    for part in _PARTS:
        if recipe.get(part) is not None and not isinstance(recipe[part], Mapping):
            raise UserError(f"{path}: {part} should be a mapping of keys, got {type(recipe[part]).__name__}")


def check_result(path: Path, result: Mapping[str, Any]) -> None:
    """Refuse a finished run's result without scores, or with something else in their place.

    Raises:
        UserError: which.
    """
    damaged = "the file is damaged or not a run's; train the run anew, or take its folder away"
    for key in ("test", "validation"):
        if not isinstance(result.get(key), Mapping) or not result[key]:
            raise UserError(f"{path} has no scores under {key!r}: {damaged}")
    for key in _SCORES:
        for network, scores in _mapping(path, result, key).items():
            if not isinstance(scores, Mapping) or not all(_is_number(score) for score in scores.values()):
                raise UserError(f"{path}: {key}.{network} holds no scores: {damaged}")
    for key in _COSTS:
        if not all(_is_number(cost) for cost in _mapping(path, result, key).values()):
            raise UserError(f"{path}: {key} holds no numbers: {damaged}")
    notes = result.get("notes", [])
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise UserError(f"{path}: notes is no list of sentences: {damaged}")


def _mapping(path: Path, result: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = result.get(key) or {}
    if not isinstance(found, Mapping):
        raise UserError(f"{path}: {key} should be a mapping of networks, got {type(found).__name__}")
    return found


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
