"""From stored values to levels of brightness: 8 or 16 bits, as many channels as are wanted.

* what the format declares to be white becomes white: of 16 bits, 8 remain as ``value // 256``
* ``range``, ``percentiles`` and ``bits`` say otherwise for a whole set; nothing is stretched image by image
* floating point in 0…1 is taken as it is; anything outside, and NaN, is an error unless a range is given
* signed and 32-bit whole numbers have no known range: an error unless one is given
* grey goes to all three channels, colour to one by its luminance; opacity is laid over white
* channels that are neither are refused, unless just as many are wanted
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preceptor.data.pixels.rules import USUAL, PixelRules
from preceptor.data.pixels.stored import StoredImage, Values, on_disk
from preceptor.data.samples import Pixels
from preceptor.errors import UserError
from preceptor.quoting import quoted

Range = tuple[float, float]
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
_SAMPLE, _SAMPLE_OF_ALL = 2**16, 2**26  # values of an image, and of all, from which percentiles are taken
_BAND = 2**24  # values worked on at a time, where an image lies on the disk
REMEDY = "set data.options.range to [black, white] in the files' own values, or data.options.percentiles=[0.5, 99.5]"


def to_pixels(stored: StoredImage, name: str, rules: PixelRules = USUAL, found: Range | None = None) -> Pixels:
    """(H, W, channels) uint8, or uint16 where ``rules.depth`` is 16.

    Args:
        name: of the file, for messages.
        found: the range that the percentiles of the whole set are.

    Raises:
        UserError: values without a known range, or channels that are not what is wanted.
    """
    if 0 in stored.values.shape:
        raise UserError(f"image {quoted(name)} has shape {stored.values.shape}: there is no pixel in it")
    take = _channels(stored, name, rules)

    def work(values: Values) -> Pixels:
        return take(_scaled(values, stored, name, rules, found))

    if not isinstance(stored.values, np.memmap):
        return np.ascontiguousarray(work(stored.values))
    height, width, count = stored.values.shape
    if stored.values.dtype == np.uint8 and count == rules.channels == 3 and rules == USUAL:
        whole: Pixels = stored.values
        return whole
    out = on_disk((height, width, rules.channels), np.uint8 if rules.depth == 8 else np.uint16)
    step = max(1, _BAND // (width * count))
    for top in range(0, height, step):
        out[top : top + step] = work(np.asarray(stored.values[top : top + step]))
    kept: Pixels = out
    return kept


def range_of(images: Iterable[StoredImage], count: int, rules: PixelRules) -> Range:
    """The values that ``rules.percentiles`` of all ``count`` images are, over colours and not over opacity.

    Of each image as many values are taken, at even distances: all up to :data:`_SAMPLE`, fewer of very many images.

    Raises:
        UserError: all values are equal.
    """
    assert rules.percentiles is not None
    most = max(256, min(_SAMPLE, _SAMPLE_OF_ALL // max(count, 1)))
    pooled = np.concatenate([_some_values(stored, most) for stored in images])
    if not pooled.size:
        raise UserError("data.options.percentiles: the images hold no number but NaN and infinite ones; set them to 0")
    low, high = (float(value) for value in np.percentile(pooled, rules.percentiles))
    if not low < high:
        raise UserError(
            f"data.options.percentiles: {rules.percentiles[0]:g} and {rules.percentiles[1]:g} percent of the values of "
            f"all images are both {low:g}: there is nothing between black and white; choose others, or set "
            "data.options.range"
        )
    return low, high


def _some_values(stored: StoredImage, most: int) -> NDArray[np.float64]:
    values = stored.values if stored.alpha is None else np.delete(stored.values, stored.alpha, axis=2)
    flat = values.reshape(-1)
    some = np.asarray(flat[:: max(1, -(-flat.size // most))], dtype=np.float64)
    return some[np.isfinite(some)]


def _scaled(values: Values, stored: StoredImage, name: str, rules: PixelRules, found: Range | None) -> Pixels:
    """Every channel as levels; opacity by what the format declares, whatever is said of the colours."""
    limits = rules.range or found
    alpha = stored.alpha
    if alpha is None or (limits is None and rules.bits is None and not stored.is_inverted):
        return _levels(values, stored, name, rules, limits)
    usual = PixelRules(channels=rules.channels, depth=rules.depth)
    plain = StoredImage(values=values, white=stored.white)
    opacity = _levels(values[..., alpha : alpha + 1], plain, name, usual, None)
    colours = _levels(np.delete(values, alpha, axis=2), stored, name, rules, limits)
    joined: Pixels = np.insert(colours, [alpha], opacity, axis=2)
    return joined


def _levels(values: Values, stored: StoredImage, name: str, rules: PixelRules, limits: Range | None) -> Pixels:
    top, kind = (255, np.uint8) if rules.depth == 8 else (65535, np.uint16)
    is_float = np.issubdtype(values.dtype, np.floating)
    if is_float:
        _require_finite(values, name)
    if limits is None and stored.window is not None and rules.bits is None:
        limits = stored.window
    if limits is not None:
        low, high = limits
        unit = np.clip((values.astype(np.float64) - low) / (high - low), 0, 1)
        levels = np.rint(unit * top).astype(kind)
    elif is_float:
        levels = _from_unit(values, name, top).astype(kind)
    else:
        levels = _from_whole(values, _white(values, stored, name, rules), top).astype(kind, copy=False)
    inverted: Pixels = top - levels if stored.is_inverted else levels
    return inverted


def _white(values: Values, stored: StoredImage, name: str, rules: PixelRules) -> int:
    """The value that is white, of whole numbers."""
    if rules.bits is not None:
        white: int = 2**rules.bits - 1
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > white:
            raise UserError(
                f"image {quoted(name)} has values from {low} to {high}: data.options.bits={rules.bits} says that they "
                f"lie in 0 to {white}; {REMEDY}"
            )
        if stored.white is not None and stored.white < white:
            raise UserError(
                f"image {quoted(name)} has {stored.white.bit_length()} bits: data.options.bits says {rules.bits}; "
                "keep images of one depth together, or set data.options.range"
            )
        return white
    if stored.white is None:
        raise UserError(
            f"image {quoted(name)} has {values.dtype.name} values, {int(values.min())} to {int(values.max())}, and "
            f"nothing says which is black: 8 or 16 bits without sign, or floats in 0 to 1, would say so;\n{REMEDY}"
        )
    return stored.white


def _from_whole(values: Values, white: int, top: int) -> Values:
    """Whole numbers up to ``white`` as levels up to ``top``: the highest bits, or all of them spread evenly."""
    if white == top:
        return values
    if white > top:
        shift = white.bit_length() - top.bit_length()
        return np.asarray(values.astype(np.uint32) >> np.uint32(shift))
    if top % white == 0:
        return np.asarray(values.astype(np.uint16) * np.uint16(top // white))
    return np.rint(values.astype(np.float64) * (top / white))


def _from_unit(values: Values, name: str, top: int) -> NDArray[np.floating[Any]]:
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        raise UserError(
            f"image {quoted(name)} has floating-point values from {low:g} to {high:g}: floats must lie in 0 to 1;\n"
            f"{REMEDY}"
        )
    levels: NDArray[np.floating[Any]] = np.rint(values.astype(np.float32 if top == 255 else np.float64) * top)
    return levels


def _require_finite(values: Values, name: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        count = int(np.count_nonzero(~finite))
        raise UserError(f"image {quoted(name)} has {count} pixel values that are NaN or infinite: repair or remove it")


def _channels(stored: StoredImage, name: str, rules: PixelRules) -> Callable[[Pixels], Pixels]:
    """What makes the wanted channels of all that there are."""
    wanted, count = rules.channels, stored.values.shape[2]
    top = 255 if rules.depth == 8 else 65535
    of_colour = count - (stored.alpha is not None)
    if count == wanted and (stored.alpha is None or wanted not in (1, 3)):
        return lambda levels: levels
    if wanted in (1, 3) and (of_colour in (1, 3) or stored.colours == 3):
        colours = 3 if stored.colours == 3 else of_colour

        def take(levels: Pixels) -> Pixels:
            if stored.alpha is not None:
                levels = _over_white(levels, stored.alpha, top, is_multiplied=stored.opacity == "premultiplied")
            levels = levels[..., :colours]
            if colours == wanted:
                return levels
            return np.repeat(levels, 3, axis=2) if wanted == 3 else _grey(levels)

        return take
    opacity = ", one of them opacity" if stored.alpha is not None else ", none of which is known to be opacity"
    raise UserError(
        f"image {quoted(name)} has {count} channels{opacity if count > 1 else ''}: {wanted} were expected"
        + (f"; set data.channels={count} to use them as they are" if 1 <= count <= 16 else "; give at most 16 channels")
    )


def _over_white(levels: Pixels, alpha: int, top: int, *, is_multiplied: bool) -> Pixels:
    kind: Any = np.float32 if top == 255 else np.float64
    opacity = np.asarray(levels[..., alpha : alpha + 1], dtype=kind) / top
    colour = np.asarray(np.delete(levels, alpha, axis=2), dtype=kind)
    seen = (colour if is_multiplied else colour * opacity) + top * (1 - opacity)
    laid: Pixels = np.rint(np.minimum(seen, top)).astype(levels.dtype)
    return laid


def _grey(levels: Pixels) -> Pixels:
    """One channel of three: the one value where all are equal, else the luminance."""
    if (levels == levels[..., :1]).all():
        return levels[..., :1]
    grey: Pixels = np.rint(levels.astype(np.float32) @ _LUMA)[..., None].astype(levels.dtype)
    return grey
