"""A recipe as text, its reasons as comments."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import yaml

from preceptor.drafting.choice import DraftedValue
from preceptor.quoting import plain

_WIDTH = 110


def as_mapping(choices: Sequence[DraftedValue]) -> dict[str, Any]:
    """What the text says, as a recipe is read."""
    found: dict[str, Any] = {}
    for choice in choices:
        *above, key = choice.key.split(".")
        (found.setdefault(above[0], {}) if above else found)[key] = choice.value
    return found


def recipe_text(choices: Sequence[DraftedValue], head: Sequence[str]) -> str:
    """The recipe of ``choices``, under comments that are ``head``."""
    lines = _comments(head, "")
    section = None
    for choice in choices:
        *above, key = choice.key.split(".")
        indent = "  " if above else ""
        if above and above[0] != section:
            lines += ["", f"{above[0]}:"]
        elif not above:
            lines.append("")
        section = above[0] if above else None
        lines += _comments(choice.why, indent)
        lines += [indent + line for line in _value(key, choice.value)]
    return "\n".join(lines) + "\n"


def _value(key: str, value: Any) -> list[str]:
    if isinstance(value, dict) and len(str(value)) > _WIDTH - 20:
        return [f"{key}:", *(f"  {line}" for name, inner in value.items() for line in _value(name, inner))]
    shown = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=True, width=math.inf)
    return [f"{key}: " + shown.strip().removesuffix("...").strip()]


def _comments(sentences: Sequence[str], indent: str) -> list[str]:
    return [
        line
        for sentence in sentences
        for part in plain(sentence).splitlines()
        for line in textwrap.wrap(
            part, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ", break_on_hyphens=False
        )
    ]
