"""Pictures of answers: masks and heat over the image."""

import numpy as np
from numpy.typing import NDArray

from preceptor.data.samples import Pixels

_OKABE_ITO = (
    (0, 158, 115),
    (230, 159, 0),
    (86, 180, 233),
    (213, 94, 0),
    (204, 121, 167),
    (240, 228, 66),
    (0, 114, 178),
)
"""Colours that colour-blind readers tell apart (Okabe & Ito 2008)."""

_SHARE = 0.45


def colours(count: int, *, has_background: bool) -> list[tuple[int, int, int]]:
    """A colour for each class; a mask's background is black, and beyond seven classes colours are computed."""
    wanted = count - has_background
    found = [_OKABE_ITO[at] if at < len(_OKABE_ITO) else _hue(at) for at in range(wanted)]
    return [(0, 0, 0)] * has_background + found


def seen(image: Pixels) -> Pixels:
    """(H, W, 3) bytes to look at: of 16 bits the higher ones, of channels that are no colours the first."""
    levels = (image // 256).astype(np.uint8) if image.dtype == np.uint16 else image
    return levels if levels.shape[2] == 3 else levels[..., :1].repeat(3, axis=2)


def overlay(image: Pixels, mask: Pixels, palette: list[tuple[int, int, int]]) -> Pixels:
    """The image with each class but the first in its colour, and its border drawn in full."""
    found = seen(image).astype(np.float64)
    for value, colour in enumerate(palette):
        inside = mask == value
        if value and inside.any():
            found[inside] = (1 - _SHARE) * found[inside] + _SHARE * np.array(colour)
            found[inside & _border(inside)] = colour
    drawn: Pixels = np.rint(found).astype(np.uint8)
    return drawn


def heat(image: Pixels, warmth: NDArray[np.floating]) -> Pixels:
    """The image in grey under ``warmth`` (H, W) from 0 to 1, red where that is high."""
    grey = seen(image).mean(axis=2, keepdims=True).repeat(3, axis=2)
    share = 0.7 * warmth[..., None]
    colour = np.stack([np.full_like(warmth, 255.0), 255 * (1 - warmth), np.zeros_like(warmth)], axis=-1)
    drawn: Pixels = np.rint((1 - share) * grey + share * colour).astype(np.uint8)
    return drawn


def _border(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels with a neighbour above, below or beside them that is outside."""
    padded = np.pad(inside, 1)
    around: NDArray[np.bool_] = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return ~around


def _hue(at: int) -> tuple[int, int, int]:
    import colorsys

    red, green, blue = colorsys.hsv_to_rgb(at * 0.618034 % 1, 0.65, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)
