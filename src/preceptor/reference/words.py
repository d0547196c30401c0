"""Texts of docstrings, and kinds of values, as pages say them."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_BOUNDS = {
    "exclusiveMinimum": "above {}",
    "minimum": "from {}",
    "exclusiveMaximum": "below {}",
    "maximum": "to {}",
}
_KINDS = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}


def docstring_as_markdown(text: str) -> str:
    """A docstring's text as markdown: ``a`` and :func:`a` are `a`."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")


def kind(schema: dict[str, Any], parts: dict[str, Any], headings: Mapping[str, str] = MappingProxyType({})) -> str:
    """What a value may be, by its JSON Schema.

    Args:
        parts: what the schema refers to.
        headings: under which each of these parts stands on the page.
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        is_mapping = parts[name].get("type") == "object"
        return f"mapping ({_link(headings[name])})" if is_mapping else kind(parts[name], parts, headings)
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(kind(one, parts, headings) for one in schema[word]))
    if schema.get("type") == "array":
        return _list(schema, parts, headings)
    if schema.get("type") == "object":
        return "mapping"
    bounds = [text.format(f"{schema[name]:,g}") for name, text in _BOUNDS.items() if name in schema]
    return " ".join([_KINDS.get(schema.get("type", ""), "anything"), *bounds])


def _list(schema: dict[str, Any], parts: dict[str, Any], headings: Mapping[str, str]) -> str:
    inner = schema.get("prefixItems")
    if inner:
        return f"list of {len(inner)}: {kind(inner[0], parts, headings)}"
    items = schema.get("items", {})
    return f"list: {kind(items, parts, headings)}" if items else "list"


def _link(heading: str) -> str:
    anchor = re.sub(r"[^\w\s-]", "", heading).lower().replace(" ", "-")
    return f"[{heading}](#{anchor})"
