"""Where the figures of an analysis go: ``RUN/analysis``, with an index that the report reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from preceptor.files import write_json, write_with
from preceptor.plotting import as_png

INDEX = "index.json"


class Page:
    """Figures and numbers of one run, listed in ``index.json`` as title, file and caption."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: list[dict[str, str]] = []

    def figure(self, name: str, figure: Figure, *, title: str, caption: str) -> None:
        """Keep ``figure`` as PNG."""
        content = as_png(figure)
        write_with(self.folder / f"{name}.png", lambda path: path.write_bytes(content))
        self.entries.append({"title": title, "file": f"{name}.png", "caption": caption})

    def numbers(self, name: str, values: Mapping[str, Any]) -> None:
        """Keep ``values`` as ``name.json``."""
        write_json(self.folder / f"{name}.json", dict(values))

    def finish(self) -> None:
        """Write the index, which lists what is complete."""
        write_json(self.folder / INDEX, self.entries)
