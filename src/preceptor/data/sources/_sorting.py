"""Files of a folder, sorted into images, masks and others by the rules of a layout."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from preceptor.data.layouts import FolderLayout

BRACKETS = ("key", "class", "part", "group")

Brackets = dict[str, str | None]
Identity = tuple[str | None, ...]
Matcher = Callable[[str, Sequence[str], str], dict[str, Brackets]]
"""(rule, places, whether it is of the image or the mask) -> place that the rule fits -> what its brackets found."""


@dataclass(frozen=True)
class SortedFiles:
    """Image files of a folder by what a layout takes them for.

    Args:
        images, masks: path below the folder -> what the brackets found.
        left_out, refused: path -> reason.
        others: those that the layout does not know.
        seconds: masks by a second observer -> what the brackets found.
    """

    images: dict[str, Brackets]
    masks: dict[str, Brackets]
    left_out: dict[str, str]
    refused: dict[str, str]
    others: list[str]
    seconds: dict[str, Brackets] = field(default_factory=dict)

    def seconds_of(self, brackets: Brackets) -> tuple[str, ...]:
        """The masks by a second observer of the image in which brackets have found this."""
        return tuple(
            place
            for place, found in sorted(self.seconds.items())
            if all(brackets.get(name) == value for name, value in found.items() if name in brackets)
        )

    def pairs(self) -> dict[Identity, tuple[list[str], list[str]]]:
        """The images and the masks of each identity: what the brackets of both have found in common."""
        inside = [set(next(iter(found.values()), BRACKETS)) for found in (self.images, self.masks)]
        names = [name for name in BRACKETS if name in inside[0] & inside[1]]
        found: dict[Identity, tuple[list[str], list[str]]] = {}
        for kind, places in enumerate((self.images, self.masks)):
            for place, brackets in places.items():
                found.setdefault(tuple(brackets[name] for name in names), ([], []))[kind].append(place)
        return found


def own_brackets(rule: str, places: Sequence[str], what: str) -> dict[str, Brackets]:
    """The matcher of rules that are written here."""
    matches = ((place, re.fullmatch(rule, place)) for place in places)
    return {place: match.groupdict() for place, match in matches if match}


def sort_files(layout: FolderLayout, places: Sequence[str], matcher: Matcher = own_brackets) -> SortedFiles:
    """Sort the image files ``places``; each rule takes of what the ones before it have left."""
    rest = list(places)
    told: list[dict[str, str]] = []
    for rules in (layout.left_out, layout.refused):
        told.append({place: reason for rule, reason in rules for place in rest if re.fullmatch(rule, place)})
        rest = [place for place in rest if place not in told[-1]]
    seconds = {} if layout.second is None else matcher(layout.second, rest, "second_mask")
    rest = [place for place in rest if place not in seconds]
    masks = {} if layout.mask is None else matcher(layout.mask, rest, "mask")
    rest = [place for place in rest if place not in masks]
    images = matcher(layout.image, rest, "image")
    others = [place for place in rest if place not in images]
    return SortedFiles(images, masks, told[0], told[1], others, seconds)
