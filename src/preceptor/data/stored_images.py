"""The images of a set as their files hold them: how large they are, and their pixels."""

from dataclasses import dataclass
from functools import cached_property

from preceptor.data.images import FileReader
from preceptor.data.pixels.spacing import microns_of
from preceptor.data.samples import SampleTable


@dataclass(frozen=True)
class StoredImages:
    """The images of a table, looked up when asked, by the id of the image."""

    table: SampleTable

    def microns(self, name: str) -> float | None:
        """The side of its pixels in microns; None where its file does not say it, or there is no such image."""
        reader, row = self.table.read, self._rows.get(name)
        if row is None or not isinstance(reader, FileReader):
            return None
        return microns_of(reader.images[row], reader.rules.axis)

    def size(self, name: str) -> tuple[int, int]:
        """Its height and width."""
        height, width = self.table.read(self._rows[name])[0].shape[:2]
        return height, width

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {str(name): row for row, name in enumerate(self.table.frame["id"].tolist())}
