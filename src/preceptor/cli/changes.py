"""Changes of a recipe as people type them: with ``--set`` or without, and keys without the part that they are in."""

import difflib
from collections.abc import Sequence

from preceptor.errors import UserError


def whole_changes(typed: Sequence[str]) -> tuple[list[str], list[str]]:
    """Every change with its whole key, and a note for each key that was completed.

    ``epochs=2`` is ``training.epochs=2``: a key that the recipe itself does not have is taken from the part that has
    it, where one part only does.

    Raises:
        UserError: no ``a.b=value``, or several parts have the key.
    """
    stray = [text for text in typed if "=" not in text]
    if stray:
        raise UserError(
            f"unexpected argument {stray[0]!r}; the recipe is changed by key=value, such as training.epochs=5"
        )
    if not typed:
        return [], []
    whole = [_whole(text) for text in typed]
    notes = [
        f"{short.partition('=')[0]} is taken as {full.partition('=')[0]}"
        for short, full in zip(typed, whole, strict=True)
        if short != full
    ]
    return whole, notes


def _whole(text: str) -> str:
    from preceptor.kinds import keys_below
    from preceptor.recipe import Recipe

    key = text.partition("=")[0].partition(".")[0]
    if not key or key in Recipe.model_fields:
        return text
    below = keys_below(Recipe)
    found = _parts_with(below, key)
    if len(found) == 1:
        return f"{found[0]}.{text}"
    if found:
        raise UserError(f"--set {text}: several parts of a recipe have {key!r}; say {' or '.join(_dotted(found, key))}")
    near = difflib.get_close_matches(key, [name for _, name in below], n=1)
    if near and not difflib.get_close_matches(key, Recipe.model_fields, n=1):
        found = _parts_with(below, near[0])
        raise UserError(f"--set {text}: unknown {key!r}; did you mean {' or '.join(_dotted(found, near[0]))}?")
    return text


def change_for(option: str) -> str | None:
    """What changes the key of a recipe that somebody has typed as an option, such as ``training.epochs``.

    Args:
        option: as it was typed, ``--epochs``.
    """
    from preceptor.kinds import keys_below
    from preceptor.recipe import Recipe

    typed = option.lstrip("-").replace("-", "_")
    first, *rest = typed.split(".")
    if first in Recipe.model_fields:
        return typed
    found = _parts_with(keys_below(Recipe), first)
    return ".".join([found[0], first, *rest]) if found else None


def _parts_with(below: Sequence[tuple[str, str]], key: str) -> list[str]:
    """The parts of a recipe that have a key; ``training`` alone where it does: a stage's own are asked for in full."""
    found = [part for part, name in below if name == key]
    return ["training"] if "training" in found else found


def _dotted(parts: Sequence[str], key: str) -> list[str]:
    return [f"{part}.{key}" for part in parts]
