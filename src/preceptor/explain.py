"""Telling what is wrong with what a user wrote, in the words of what they wrote."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from textwrap import shorten
from typing import Any, get_args

from pydantic import BaseModel

_ALTERNATIVE = re.compile(r"constrained-\w+|(?:tuple|list|dict|literal)\[.*\]")
"""What pydantic adds to a location where a value may be of several kinds: no key that a user wrote."""


def explain(detail: Mapping[str, Any], root: type[BaseModel], tags: Mapping[str, type[BaseModel]]) -> str:
    """One line for one pydantic error: where, what came, what was wanted.

    Args:
        detail: an entry of ``ValidationError.errors()``.
        root: the model that was validated.
        tags: the members of its unions by the value that tells them apart; pydantic puts it into locations.
    """
    parts = [str(part) for part in detail["loc"] if part not in tags and not _ALTERNATIVE.fullmatch(str(part))]
    where = ".".join(parts) or "recipe"
    if detail["type"] == "extra_forbidden":
        fields = _fields_at(root, detail["loc"][:-1], tags)
        return f"{where}: {unknown(parts[-1], fields)}"
    if detail["type"] == "missing":
        return f"{where}: is missing"
    if detail["type"] == "union_tag_not_found":
        return f"{where}.name: is missing; valid: {', '.join(tags)}"
    if detail["type"] == "union_tag_invalid":
        return f"{where}.name: {unknown(str(detail['input'].get('name')), tags)}"
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ").replace("valid tuple", "valid list")
    if detail["type"] == "value_error":
        return message if where == "recipe" else f"{where}: {message}"
    if detail["type"] == "model_type":
        message = "should be a mapping of keys"
    return f"{where}: {message}, got {shorten(repr(detail['input']), 80, placeholder=' …')}"


def _fields_at(model: type[BaseModel], loc: Sequence[int | str], tags: Mapping[str, type[BaseModel]]) -> Iterable[str]:
    """Field names of the model that an error's location points into."""
    current: type[BaseModel] = model
    for part in loc:
        if part in tags:
            current = tags[str(part)]
        elif isinstance(part, str) and part in current.model_fields:
            inner = _models_in(current.model_fields[part].annotation)
            current = inner[0] if inner else current
    return current.model_fields


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def unknown(name: str, valid: Iterable[str]) -> str:
    """What to say of a name that does not exist: the nearest one, or all."""
    options = list(valid)
    near = difflib.get_close_matches(name, options, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(options)}"
    return f"unknown {name!r}; {hint}"
