"""Absolute paths in what is passed on: of each only the last part, which names the thing, is kept."""

import re
from collections.abc import Mapping
from typing import Any

_STARTS = r"""(?<![^\s'"`(\[{=,;:])"""
_PART = r"""[^\s/'"`,;:()\[\]{}<>|]"""
_PLACE = re.compile(rf"{_STARTS}(?:~[\w.-]*)?/(?!/)(?:{_PART}+/)*(?={_PART})")
"""The folders of an absolute path in a sentence; a path with spaces is known for one up to the first of them."""

_WHOLE = re.compile(r"((?:local-dir:)?)(?:~|/|[A-Za-z]:[/\\])")


def without_places(text: str) -> str:
    """``text`` in which absolute paths have kept their last part: ``/home/me/runs/a`` is ``…/a``."""
    return _PLACE.sub("…/", text) if "/" in text else text


def place_free(value: Any) -> Any:
    """A recipe, or a part of one, whose absolute paths have kept their last part."""
    if isinstance(value, Mapping):
        return {key: place_free(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [place_free(one) for one in value]
    if isinstance(value, str) and (found := _WHOLE.match(value)):
        last = re.split(r"[/\\]", value.rstrip("/"))[-1]
        return f"{found[1]}…/{last}"
    return value
