"""Docstrings as the site shows them: references and formulas in reStructuredText become code."""

import re
from typing import Any

import griffe


class PlainDocstrings(griffe.Extension):
    """Rewrites every docstring that is read for the site; the code keeps its own."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every module, class, function and attribute."""
        if obj.docstring is None:
            return
        text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", obj.docstring.value)
        text = re.sub(r"\.\. math:: *(.+)", r"`\1`", text)
        text = re.sub(r"^(\s*)(Class attributes|Shapes|Source|Differs):", r"\1**\2:**", text, flags=re.MULTILINE)
        obj.docstring.value = text
