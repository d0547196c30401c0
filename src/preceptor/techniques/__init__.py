"""From options to plans: one technique a file. A class with a name of its own in this folder is one."""

import inspect
from importlib import import_module
from pathlib import Path

from preceptor.knowledge.catalogue import with_default
from preceptor.signatures import source_line, summary_of
from preceptor.techniques.base import Technique
from preceptor.techniques.own import OwnTechnique


def _found() -> dict[str, type[Technique]]:
    techniques = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        module = import_module(f"{__name__}.{path.stem}")
        for _, one in inspect.getmembers(module, inspect.isclass):
            if one.__module__ == module.__name__ and issubclass(one, Technique):
                techniques.update(dict.fromkeys(one.keys(), one))
    return dict(sorted(techniques.items()))


TECHNIQUES = _found()
"""Name in recipes -> class."""


def technique_rows() -> list[dict[str, str]]:
    """One row per technique: key, what it does, tasks, options with their defaults, source."""
    rows = []
    for key, technique in TECHNIQUES.items():
        docstring = inspect.getdoc(technique) or ""
        fields = {name: technique.model_fields[name] for name in technique.options()}
        rows.append(
            {
                "technique": key,
                "what it does": summary_of(docstring),
                "tasks": ", ".join(technique.tasks),
                "options": ", ".join(with_default(name, one.annotation, one.default) for name, one in fields.items()),
                "source": source_line(docstring),
            }
        )
    return rows


__all__ = ["TECHNIQUES", "OwnTechnique", "Technique", "technique_rows"]
