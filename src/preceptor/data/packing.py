"""What is to be packed, and how."""

from collections.abc import Callable
from dataclasses import dataclass

from preceptor.data.fingerprint import Files, request_key
from preceptor.data.resize import ResizeRule, has_padding
from preceptor.data.samples import SampleTable
from preceptor.notes import Note
from preceptor.specs import Colour, TileSpec

PackingProgress = Callable[[int, int], None]
BORDER: dict[str, object] = {"border": "ignored"}
"""Part of the rules of masks with a border that was filled up; those of tiles that have none are as they ever were."""


@dataclass(frozen=True)
class Packing:
    """What is to be packed, and how."""

    table: SampleTable
    size: tuple[int, int]
    rule: ResizeRule
    padding: Colour
    tile: TileSpec | None
    files: Files
    request: str
    rules: dict[str, object]
    workers: int
    progress: PackingProgress
    note: Note

    @property
    def name(self) -> str:
        """How the packed set's folder begins; the fingerprint follows."""
        return f"{self.table.source}-{self.request[:12]}"

    def request_for(self, has_border: bool) -> str:
        """The request, where masks turned out to have a border that was filled up."""
        return request_key(self.table, self.files, {**self.rules, **BORDER}) if has_border else self.request

    def fills_up(self, found: tuple[int, int]) -> bool:
        """Whether an image of this height and width gets a border that is none of it."""
        if self.tile:
            return min(found) < self.tile.size
        return self.rule == "pad" and has_padding(found, self.size)
