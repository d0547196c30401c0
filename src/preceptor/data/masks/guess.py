"""What the pixels of masks of two classes mean where no option says it: guessed from some of them, and said."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from preceptor.data.masks.marks import Marks, numbers_of_colours
from preceptor.data.masks.meaning import Meaning, refused_colours, unexpected
from preceptor.data.masks.rules import RGB
from preceptor.data.pixels.stored import Values

LOOKED_AT = 64
"""Masks of a data set from which it is guessed, evenly spread."""
_FEW = 32
"""Values that may be told one by one."""
_AT_THE_ENDS = 0.9
"""Share of pixels that are nearly black or nearly white where grey ones are the blur of an edge."""
_IN_PATCHES = 0.2
"""Share of these grey pixels in patches of one value from which on they are something of their own, no edge."""
_EVEN = 0.8
"""Share of foreground pixels that are like their neighbour where values are numbers of objects, not brightness."""

_BLACK_AND_WHITE = {(0, 0, 0), (255, 255, 255)}


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskLook:
    """What one mask holds, in short.

    Args:
        values, alpha: value -> number of pixels; None where the file has no such channel.
        colours: that occur; None where it has none.
        even, pairs: neighbours above 0 that are alike, and all neighbours above 0.
        grey, inside: pixels that are neither nearly black nor nearly white, and those of them in patches of one value.
    """

    path: str
    white: float
    values: Counter[float] | None
    alpha: Counter[float] | None
    colours: frozenset[RGB] | None
    even: int = 0
    pairs: int = 0
    grey: int = 0
    inside: int = 0


def look_at_mask(path: str, marks: Marks) -> MaskLook:
    """``marks`` in short."""
    white = float(marks.white or 255)
    even, pairs = (0, 0) if marks.values is None else _evenness(marks.values)
    grey, inside = (0, 0) if marks.values is None else _greyness(marks.values, white)
    return MaskLook(
        path=path,
        white=white,
        values=_counted(marks.values),
        alpha=_counted(marks.alpha),
        colours=None if marks.colours is None else _used(marks.colours),
        even=even,
        pairs=pairs,
        grey=grey,
        inside=inside,
    )


def guessed(looks: Iterable[MaskLook], meaning: Meaning) -> Meaning:
    """``meaning`` with what masks suggest; it says each guess.

    Raises:
        UserError: they may mean several things; says which, and the option for each.
    """
    found = list(looks)
    meaning = _channel(found, meaning)
    if meaning.colours or meaning.where == "palette":
        return meaning
    histograms = [(look.path, look.white, look.alpha if meaning.where == "alpha" else look.values) for look in found]
    pixels: Counter[float] = Counter()
    odd = None
    for path, white, histogram in histograms:
        kept = Counter({value: n for value, n in (histogram or {}).items() if value not in meaning.ignored})
        pixels += kept
        if odd is None and not (set(kept) <= {0, 1} or set(kept) <= {0, white}):
            odd = path
    return meaning if odd is None else _by_values(found, pixels, odd, meaning)


def _channel(found: list[MaskLook], meaning: Meaning) -> Meaning:
    """Which of its channels the mask is in."""
    if meaning.where == "alpha":
        return meaning
    coloured = [look for look in found if look.values is None]
    plain = {value for look in found for value in look.values or ()}
    opacity = {value for look in found for value in look.alpha or ()}
    if not coloured and len(plain) == 1 and len(opacity) == 2:
        (value,) = plain
        said = f"masks hold {value:g} everywhere and differ in their alpha channel: that is the mask"
        return replace(meaning, where="alpha", said=(said,))
    if coloured:
        return _of_colours(coloured[0].path, found, meaning)
    used = {colour for look in found for colour in look.colours or ()}
    if not used:
        return meaning
    if used <= _BLACK_AND_WHITE:
        said = "masks have palettes of black and white: white is foreground, whatever its number"
        return replace(meaning, where="palette", said=(said,))
    said = "masks have palettes with colours: what counts is the number of a colour, not how it looks"
    return replace(meaning, said=(said,))


def _of_colours(path: str, found: list[MaskLook], meaning: Meaning) -> Meaning:
    """Black and one colour are background and foreground."""
    used = {colour for look in found for colour in look.colours or _greys(look)}
    if len(used) == 2 and (0, 0, 0) in used:
        (other,) = used - {(0, 0, 0)}
        said = f"masks are black and {list(other)} (red, green, blue): that is foreground"
        return replace(meaning, colours=((0, 0, 0), other), said=(said,))
    raise refused_colours(path, used, "colours, all masks together")


def _greys(look: MaskLook) -> set[RGB]:
    return {(grey, grey, grey) for value in look.values or () for grey in [round(255 * value / look.white)]}


def _by_values(found: list[MaskLook], pixels: Counter[float], odd: str, meaning: Meaning) -> Meaning:
    values = sorted(pixels)
    if len(values) == 2 and values[0] == 0 and (values[1] > _FEW or values[1] < 1):  # 2 may be one class of several
        said = f"masks hold 0 and {values[1]:g}: {values[1]:g} is foreground"
        return replace(meaning, values=(0.0, values[1]), said=(*meaning.said, said))
    white = max(look.white for look in found)
    blur = _blur(found, pixels, white)
    if blur:
        return replace(meaning, threshold=white / 2, said=(*meaning.said, blur))
    pairs = sum(look.pairs for look in found)
    if len(values) > _FEW and pairs and sum(look.even for look in found) / pairs >= _EVEN and values[0] == 0:
        said = f"masks hold {len(values)} values in even patches: numbers of objects, every value above 0 is foreground"
        return replace(meaning, is_objects=True, said=(*meaning.said, said))
    raise unexpected(odd, np.array(values), "0 and 255, or 0 and 1", of="with the other masks")


def _blur(found: list[MaskLook], pixels: Counter[float], white: float) -> str | None:
    """What is to be said where values between black and white are what JPEG or resizing leaves; else None."""
    grey, inside = sum(look.grey for look in found), sum(look.inside for look in found)
    if min(pixels) < 0 or max(pixels) > white or inside > _IN_PATCHES * grey:
        return None
    dark = [value for value in pixels if value <= white / 8]
    light = [value for value in pixels if value >= white * 7 / 8]
    between = 1 - sum(pixels[value] for value in (*dark, *light)) / pixels.total()
    is_noise = len(dark) > 1 and len(light) > 1  # about both ends; 0, 1, 2 and 255 are something else
    if not dark or not light or between > 1 - _AT_THE_ENDS or not (grey or is_noise):
        return None
    return (
        f"masks hold {len(pixels)} values from 0 to {max(pixels):g}, as JPEG and resizing leave them: from "
        f"{white / 2:g} on is foreground ({between:.1%} of pixels are neither nearly black nor nearly white)"
    )


def _counted(values: Values | None) -> Counter[float] | None:
    if values is None:
        return None
    present, counts = np.unique(values, return_counts=True)
    return Counter(dict(zip(present.tolist(), counts.tolist(), strict=True)))


def _used(colours: Values) -> frozenset[RGB]:
    packed = np.unique(numbers_of_colours(colours))
    return frozenset((number >> 16, number >> 8 & 255, number & 255) for number in packed.tolist())


def _evenness(values: Values) -> tuple[int, int]:
    left, right = values[:, :-1], values[:, 1:]
    is_foreground = (left != 0) & (right != 0)
    return int((left == right)[is_foreground].sum()), int(is_foreground.sum())


def _greyness(values: Values, white: float) -> tuple[int, int]:
    is_grey = (values > white / 8) & (values < white * 7 / 8)
    inner = values[1:-1, 1:-1]
    is_inside = is_grey[1:-1, 1:-1].copy()
    for other in (values[:-2, 1:-1], values[2:, 1:-1], values[1:-1, :-2], values[1:-1, 2:]):
        is_inside &= inner == other
    return int(is_grey.sum()), int(is_inside.sum())
