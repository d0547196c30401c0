"""The figures of an analysis, with an index that the report reads."""

from pathlib import Path

from matplotlib.figure import Figure

from preceptor.files import write_with
from preceptor.plotting import as_png
from preceptor.runs.analysis import figure_path, write_index


class Page:
    """Figures of the run in ``folder``, listed as title, file and caption."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: list[dict[str, str]] = []

    def figure(self, name: str, figure: Figure, *, title: str, caption: str) -> None:
        """Keep ``figure`` as PNG."""
        content = as_png(figure)
        file = figure_path(self.folder, name)
        write_with(file, lambda path: path.write_bytes(content))
        self.entries.append({"title": title, "file": file.name, "caption": caption})

    def finish(self) -> None:
        """Write the index, which lists what is complete."""
        write_index(self.folder, self.entries)
