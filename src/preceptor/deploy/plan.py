"""What a call of ``preceptor predict`` is to do, kept in its folder: the same call goes on, another one is refused."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from preceptor.deploy.hands import remove_unbegun
from preceptor.deploy.images import Item
from preceptor.errors import DamagedFileError, UserError
from preceptor.quoting import quoted
from preceptor.runs.place import require_place
from preceptor.sealed import read_sealed, write_sealed

WORK = ".predict"
PLAN = "plan.json"
TABLE = "predictions.csv"
_ANEW = "Delete the folder that was given with --out to answer all images anew."


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is drawn besides the table.

    Args:
        masks: the mask of every image, grey, at the image's own size.
        overlay: masks over images.
        cam: what speaks for the class, over the image.
        dicom: masks of DICOM images as DICOM segmentations.
    """

    masks: bool = False
    overlay: bool = False
    cam: bool = False
    dicom: bool = False


@dataclass(frozen=True, slots=True)
class PredictionTask:
    """All that the rows of the table depend on.

    Args:
        source: bundle, run or network of a run.
        identity: what tells the network from any other.
        stamps: size and time of change of each item's file; (-1, -1) where there is none.
    """

    source: str
    identity: str
    device: str
    tta: bool
    is_calibrated: bool
    pictures: Pictures
    items: tuple[Item, ...]
    stamps: tuple[tuple[int, int], ...]

    @property
    def facts(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "source": self.source,
            "identity": self.identity,
            "device": self.device,
            "tta": self.tta,
            "is_calibrated": self.is_calibrated,
            "pictures": asdict(self.pictures),
            "items": [
                [item.name, item.path, item.place, *stamp] for item, stamp in zip(self.items, self.stamps, strict=True)
            ],
        }

    @classmethod
    def read(cls, out: Path) -> Self | None:
        """The task whose work lies in ``out``, None where there is none.

        Raises:
            DamagedFileError: it is not what was written.
        """
        path = out / WORK / PLAN
        try:
            facts, is_sealed = read_sealed(path, _ANEW)
        except FileNotFoundError:
            return None
        if not is_sealed:
            raise DamagedFileError(path, "has lost its seal", _ANEW)
        items = facts.pop("items")
        return cls(
            **{**facts, "pictures": Pictures(**facts["pictures"])},
            items=tuple(Item(name, file, place) for name, file, place, _, _ in items),
            stamps=tuple((size, changed) for *_, size, changed in items),
        )

    def begin(self, out: Path, given: Sequence[Path]) -> None:
        """Make ``out`` the folder of this task, or see that it is.

        Raises:
            UserError: it is another's, or holds other things, or the images.
        """
        there = PredictionTask.read(out)
        if there is None:
            remove_unbegun(out / WORK)
            folders = [str(path) for path in given if path.is_dir()]
            require_place(out, folders, is_own=False, what="predictions")
            write_sealed(out / WORK / PLAN, self.facts)
        elif there != self:
            raise UserError(
                f"{out} holds predictions of another kind: {self._other(there)}.\nGive another folder with --out, or "
                "delete this one."
            )

    def _other(self, there: "PredictionTask") -> str:
        """What differs, in words."""
        if there.identity != self.identity:
            return "they are of another network, or of this one before it changed"
        if there.items != self.items:
            return f"they are of {len(there.items)} images, and these {len(self.items)} are others"
        if there.stamps != self.stamps:
            places = zip(self.items, there.stamps, self.stamps, strict=True)
            return f"the image {quoted(next(i.name for i, was, now in places if was != now))} has changed since"
        return "they were made with other options"


def stamps_of(items: Sequence[Item]) -> tuple[tuple[int, int], ...]:
    """Size and time of change of each item's file."""
    return tuple(_stamp(item.path) for item in items)


def _stamp(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return -1, -1
    return found.st_size, found.st_mtime_ns
