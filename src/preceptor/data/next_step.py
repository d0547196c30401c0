"""The command that comes after looking at data."""

import json
import shlex
from typing import Any

from preceptor.data.inspect import Inspection
from preceptor.yaml_text import NotYamlError, read_value


def next_command(found: Inspection) -> str:
    """The command to run next, as it may be pasted into a shell: what writes a recipe for these images."""
    if found.given is None:
        return "preceptor demo"
    words = ["preceptor", "init", found.given]
    if not found.reasons:  # it was not recognised but given
        words += ["--source", found.source]
    for name, value in found.given_options.items():
        words += ["--option", f"{name}={_as_typed(value)}"]
    if found.channels != 3:
        words += ["--channels", str(found.channels)]
    return shlex.join(words)


def _as_typed(value: Any) -> str:
    """How a value is written so that it is read as what it is."""
    if isinstance(value, str):
        try:
            is_plain = read_value(value, "option") == value
        except NotYamlError:  # a regular expression, which is taken as it stands
            is_plain = True
        if is_plain:
            return value
    return json.dumps(value, ensure_ascii=False)
