"""What became of every file below a folder: used, read, or not used and why. The sums agree."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from preceptor.data.pixels.endings import ending_of, is_image
from preceptor.data.samples import SampleTable
from preceptor.data.tree import files_below

_MOST, _COMPARED = 8, 4096  # files of one name and size, and bytes of each, that are compared
LEFT_BEHIND = "hidden, or left by systems and programs"
COPIES = "second copies, by name, size and some of their bytes, of images that are used"
OTHER_IMAGES = "images that the layout does not use"
NO_IMAGES = "no images by their endings"


@dataclass(frozen=True)
class Unused:
    """Files that nothing was done with.

    Args:
        reason: why.
        places: paths below the folder, sorted.
        endings: how many there are of each ending, most first.
    """

    reason: str
    places: tuple[str, ...]

    @property
    def endings(self) -> tuple[tuple[str, int], ...]:
        found = Counter(ending_of(place) or "without ending" for place in self.places)
        return tuple(sorted(found.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True)
class Account:
    """Every file below a folder.

    Args:
        folder: that was looked through.
        total: files below it.
        images: files with images of the data set, or archives of them.
        masks: files with masks.
        read: tables and lists that were read besides, below the folder.
        unused: the others, by reason.
        outside: used files that do not lie below the folder.
    """

    folder: str
    total: int
    images: int
    masks: int
    read: tuple[str, ...]
    unused: tuple[Unused, ...]
    outside: int = 0


def account_for(path: Path, table: SampleTable) -> Account | None:
    """What became of every file below ``path``, or beside it where it is a table; None for generated data."""
    rows = [table.files(row) for row in range(len(table))]
    if not any(rows):
        return None
    folder = path if path.is_dir() else path.parent
    images = {os.path.abspath(files[0]) for files in rows}
    masks = {os.path.abspath(file) for files in rows for file in files[1:]} - images
    read = {os.path.abspath(file) for file in table.read_besides} - images - masks
    if not path.is_dir() and os.path.abspath(path) in images:  # one archive
        return Account(str(path), 1, 1, 0, (), ())
    root = os.path.join(os.path.abspath(folder), "")
    found = {root + file.place: file for file in files_below(folder)}
    kinds = [{place for place in kind if place in found} for kind in (images, masks, read)]
    rest = [file.place for place, file in found.items() if not any(place in kind for kind in kinds)]
    left_behind = {file.place for file in found.values() if file.left_behind}
    used: dict[tuple[str, int], list[str]] = {}
    for file in sorted(kinds[0] | kinds[1]) if rest else ():
        used.setdefault((os.path.basename(file), _size(file)), []).append(file)
    left_out = {os.path.abspath(file): reason for file, reason in table.left_out.items()}

    def reason(place: str) -> str:
        if place in left_behind:
            return LEFT_BEHIND
        if not is_image(root + place):
            return left_out.get(root + place, NO_IMAGES)
        if root + place in left_out:
            return left_out[root + place]
        namesakes = used.get((os.path.basename(place), _size(root + place)), [])
        return COPIES if any(_are_alike(root + place, file) for file in namesakes[:_MOST]) else OTHER_IMAGES

    return Account(
        folder=str(folder),
        total=len(found),
        images=len(kinds[0]),
        masks=len(kinds[1]),
        read=tuple(sorted(place.removeprefix(root) for place in kinds[2])),
        unused=_by_reason((reason(place), place) for place in rest),
        outside=sum(not place.startswith(root) for place in images | masks),
    )


def _by_reason(found: Iterable[tuple[str, str]]) -> tuple[Unused, ...]:
    reasons: dict[str, list[str]] = {}
    for reason, place in sorted(found):
        reasons.setdefault(reason, []).append(place)
    return tuple(
        sorted((Unused(reason, tuple(places)) for reason, places in reasons.items()), key=lambda one: -len(one.places))
    )


def _are_alike(one: str, other: str) -> bool:
    """Whether two files of one size have the same bytes in the middle and at the end."""
    try:
        with open(one, "rb") as first, open(other, "rb") as second:
            for back in (0.5, 0):
                for file in (first, second):
                    file.seek(max(0, int(os.fstat(file.fileno()).st_size * (1 - back)) - _COMPARED))
                if first.read(_COMPARED) != second.read(_COMPARED):
                    return False
    except OSError:
        return False
    return True


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1
