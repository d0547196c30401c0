"""How large the pixels of a set's images are."""

from collections.abc import Callable

from preceptor.data.images import FileReader
from preceptor.data.pixels.spacing import microns_of
from preceptor.data.samples import SampleTable


def microns_of_images(table: SampleTable) -> Callable[[str], float | None]:
    """Id of an image -> side of its pixels in microns, looked up when asked; None where its file does not say it."""

    def look_up(name: str) -> float | None:
        reader = table.read
        if not isinstance(reader, FileReader):
            return None
        rows = places.setdefault("", {str(one): row for row, one in enumerate(table.frame["id"].tolist())})
        return microns_of(reader.images[rows[name]], reader.rules.axis) if name in rows else None

    places: dict[str, dict[str, int]] = {}
    return look_up
