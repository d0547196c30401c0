"""What the pixels of the masks of a data set mean, and one mask's classes by it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from preceptor.data.masks.marks import Marks, marks_of, numbers_of_colours
from preceptor.data.masks.rules import IGNORE_NAME, RGB, MaskRules
from preceptor.data.pixels.endings import ending_of
from preceptor.data.pixels.stored import StoredImage, Values
from preceptor.data.samples import Pixels
from preceptor.errors import UserError
from preceptor.quoting import quoted
from preceptor.specs import IGNORED

Where = Literal["values", "palette", "alpha"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """How masks are read, all of a data set alike.

    Args:
        where: what holds the classes: the ``values`` (of a palette, the numbers of colours), the brightness of the
            ``palette``'s colours, or the opacity (``alpha``).
        values: of each class, background first; none where they are usual: 0 and 1, or 0 and the brightest, of two
            classes, and the numbers of the classes of more.
        is_objects: every value above 0 is foreground.
        threshold: values from this one on are foreground.
        colours: of each class.
        ignored: values that count nowhere.
        ignored_colour: a colour that does.
        said: what was guessed, one sentence each.
    """

    where: Where = "values"
    values: tuple[float, ...] = ()
    is_objects: bool = False
    threshold: float | None = None
    colours: tuple[RGB, ...] = ()
    ignored: tuple[float, ...] = ()
    ignored_colour: RGB | None = None
    said: tuple[str, ...] = ()


def meaning_by(rules: MaskRules) -> Meaning:
    """What options say; as usual where they say nothing."""
    values = rules.mask_values
    colours = rules.mask_colours or {}
    return Meaning(
        where="alpha" if rules.mask_channel == "alpha" else "values",
        values=values if isinstance(values, tuple) else (),
        is_objects=values == "objects",
        threshold=rules.mask_threshold,
        colours=tuple(rules.colours_of_classes.values()),
        ignored=rules.mask_ignore,
        ignored_colour=colours.get(IGNORE_NAME),
    )


def classes_of(stored: StoredImage, path: str, classes: int, meaning: Meaning) -> Pixels:
    """(H, W) uint8 of class values below ``classes``, and :data:`~preceptor.specs.IGNORED` for what counts nowhere.

    Raises:
        UserError: pixels that mean nothing; names the file and what they hold.
    """
    marks = marks_of(stored)
    if meaning.colours:
        return _by_colours(marks, path, meaning)
    values, white = _chosen(marks, path, meaning)
    is_ignored = np.isin(values, meaning.ignored) if meaning.ignored else None
    present = np.unique(values if is_ignored is None else values[~is_ignored])
    if meaning.threshold is not None:
        found = (values >= meaning.threshold).astype(np.uint8)
    elif meaning.is_objects:
        found = (values > 0).astype(np.uint8)
    elif meaning.values:
        found = _by_values(values, present, path, meaning.values)
    else:
        found = _as_usual(values, present, path, classes, white)
    if is_ignored is not None:
        found[is_ignored] = IGNORED
    return found


def _chosen(marks: Marks, path: str, meaning: Meaning) -> tuple[Values, float]:
    """The values that hold the classes, and their brightest."""
    white = marks.white or 255
    if meaning.where == "alpha":
        if marks.alpha is None:
            raise UserError(f"mask {quoted(path)} has no alpha channel, in which the mask was to be")
        return marks.alpha, white
    if meaning.where == "palette" and marks.has_palette:
        assert marks.colours is not None
        return marks.colours[..., 0], 255
    if marks.values is None and marks.colours is not None and meaning.is_objects:
        return marks.colours.max(axis=2), 255
    if marks.values is None:
        colours = marks.colours if marks.colours is not None else np.empty((0, 3))
        raise refused_colours(path, np.unique(colours.reshape(-1, 3), axis=0).tolist())
    return marks.values, white


_FAR, _MOST_FAR = 64, 0.25  # of 441 between black and white, and of the pixels, edges among them
NEAREST = "masks are JPEG, which changes colours: each pixel is the class of the nearest of mask_colours"
_MOST_COLOURS = 6  # that are named
_MANY_COLOURS = 32  # from which on they are no classes


def refused_colours(path: str, colours: Iterable[RGB], what: str = "colours") -> UserError:
    """Masks whose colours are no classes yet: which they are, and the option that says it, to be filled in."""
    found = sorted({tuple(map(int, colour)) for colour in colours}, key=lambda colour: (sum(colour) > 0, colour))
    shown = ", ".join(str(list(colour)) for colour in found[:_MOST_COLOURS])
    more = end = ", …" if len(found) > _MOST_COLOURS else ""
    names = ["background" if not any(colour) else f"class{at}" for at, colour in enumerate(found[:_MOST_COLOURS])]
    given = ", ".join(f"{name}: {list(colour)}" for name, colour in zip(names, found, strict=False))
    first = ""
    if not given or len(found) > _MANY_COLOURS:
        given, end = "background: [0, 0, 0], lesion: [255, 0, 0]", ", …"
        first = (
            f"{len(found)} colours are more than classes: if each object has one of its own, set "
            "data.options.mask_values=objects;\nJPEG and smoothing make such colours, too: "
            "save smoothed masks anew as PNG, of JPEG the nearest colour counts; and "
        )
    return UserError(
        f"mask {quoted(path)} has {what}{f' {shown}{more}' if shown else ''}: one value per pixel was expected, 0 for "
        f"background;\n{first if found else ''}say what each colour is, in words of your own, background first: "
        f"data.options.mask_colours={{{given}{end}}}"
    )


def _as_usual(values: Values, present: Values, path: str, classes: int, white: float) -> Pixels:
    if classes == 2 and present.size <= 2 and bool(np.isin(present, (0, white)).all()):
        foreground: Pixels = np.equal(values, white).astype(np.uint8)
        return foreground
    if not bool(np.isin(present, np.arange(classes)).all()):
        wanted = "0 and 255, or 0 and 1" if classes == 2 else f"0 to {classes - 1}, one per class"
        raise unexpected(path, present, wanted)
    return values.astype(np.uint8)


def _by_values(values: Values, present: Values, path: str, wanted: tuple[float, ...]) -> Pixels:
    if not bool(np.isin(present, wanted).all()):
        raise unexpected(path, present, f"{listed(wanted)}, as for the other masks")
    found = np.zeros(values.shape, dtype=np.uint8)
    for place, value in enumerate(wanted):
        found[values == value] = place
    return found


def _by_colours(marks: Marks, path: str, meaning: Meaning) -> Pixels:
    colours = marks.colours
    if colours is None:
        assert marks.values is not None
        grey = marks.values
        if marks.white not in (None, 255):
            grey = np.rint(grey * (255 / marks.white))
        colours = np.repeat(grey[..., None], 3, axis=2)
    number = numbers_of_colours(colours)
    if is_jpeg(path):
        return _by_nearest(colours, path, meaning)
    found = np.full(number.shape, IGNORED, dtype=np.uint8)
    known = np.zeros(number.shape, dtype=bool)
    for place, colour in enumerate(meaning.colours):
        is_it = number == numbers_of_colours(np.array(colour))
        found[is_it] = place
        known |= is_it
    if meaning.ignored_colour is not None:
        known |= number == numbers_of_colours(np.array(meaning.ignored_colour))
    if not known.all():
        other = np.unique(colours[~known].reshape(-1, 3), axis=0)
        shown = ", ".join(str(colour) for colour in other[:6].astype(int).tolist())
        raise UserError(
            f"mask {quoted(path)} has {int((~known).sum())} pixels of colours that are no class: {shown}"
            f"{', …' if len(other) > 6 else ''};\nadd them to data.options.mask_colours, as `ignore` where they count "
            "nowhere (JPEG changes colours: save masks as PNG)"
        )
    return found


def is_jpeg(path: str) -> bool:
    """Whether a mask's file is a JPEG by its name, in which no colour stays as it was drawn."""
    return ending_of(path) in (".jpg", ".jpeg", ".jpe", ".jfif")


def _by_nearest(colours: Values, path: str, meaning: Meaning) -> Pixels:
    """Each pixel as the class whose colour is nearest, as a JPEG keeps no colour.

    Raises:
        UserError: most pixels are near none of them.
    """
    table = [*meaning.colours, *([meaning.ignored_colour] if meaning.ignored_colour else [])]
    pixels = colours.astype(np.float32)
    apart = np.stack([np.square(pixels - np.array(colour, dtype=np.float32)).sum(axis=2) for colour in table])
    is_far: Values = apart.min(axis=0) > _FAR**2
    share = float(is_far.mean())
    if share > _MOST_FAR:
        shown = ", ".join(str(colour) for colour in np.unique(colours[is_far], axis=0)[:6].astype(int).tolist())
        raise UserError(
            f"mask {quoted(path)}: {share:.0%} of its pixels are near no colour of data.options.mask_colours, for "
            f"example {shown};\nadd these colours, as `ignore` where they count nowhere"
        )
    nearest: Pixels = apart.argmin(axis=0).astype(np.uint8)
    nearest[nearest == len(meaning.colours)] = IGNORED
    return nearest


def unexpected(path: str, present: Values, wanted: str, of: str = "") -> UserError:
    """The error for a mask with values that mean nothing, with what may be meant.

    Args:
        of: what else has these values.
    """
    values = present.tolist()
    advice = []
    small = [value for value in values if value != IGNORED]
    if IGNORED in values and small and max(small) < IGNORED // 2 and max(small) == int(max(small)):
        advice.append(f"if {IGNORED} is for pixels that count nowhere, set data.options.mask_ignore={IGNORED}")
        values = small
    if len(values) > 2 and all(value == int(value) and 0 <= value <= IGNORED for value in values) and len(values) < 33:
        advice.append("if values are classes, name them all, background first: data.options.classes=[background, …]")
        if max(values) >= len(values):
            advice.append(f"and give their values: data.options.mask_values=[{listed(values)}]")
    if len(values) > 2:
        advice.append("if each object has a number of its own, set data.options.mask_values=objects")
        half = next((half for white, half in ((1, 0.5), (255, 128)) if max(values) <= white), 32768)
        advice.append(f"if edges are grey, set data.options.mask_threshold={half}")
    elif len(values) == 2:
        advice.append(f"if these are background and foreground, set data.options.mask_values=[{listed(values)}]")
    said = f"mask {quoted(path)} has{f', {of},' if of else ''} unexpected values {listed(present.tolist())}"
    return UserError(f"{said}: expected {wanted}" + "".join(f";\n{line}" for line in advice))


def listed(values: Sequence[float]) -> str:
    """Some numbers, the first eight of them."""
    return ", ".join(f"{value:g}" for value in values[:8]) + (", …" if len(values) > 8 else "")
