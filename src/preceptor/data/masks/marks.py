"""What the pixels of a mask's file hold: values, colours, opacity."""

from dataclasses import dataclass

import numpy as np

from preceptor.data.pixels.stored import StoredImage, Values

_NOISE, _BRIGHT = 8, 128  # of 255: JPEG's trace in grey pictures; below, a small difference may tell two classes


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The pixels of one mask.

    Args:
        values: (H, W) one value per pixel: grey, or numbers of colours in a palette; None where there are colours only.
        white: the value that is brightest; None where the file declares none.
        colours: (H, W, 3) where there are any.
        alpha: (H, W) opacity, with ``white`` for opaque; None where the file has none.
    """

    values: Values | None
    white: float | None
    colours: Values | None = None
    alpha: Values | None = None

    @property
    def has_palette(self) -> bool:
        """Whether values are numbers of colours."""
        return self.values is not None and self.colours is not None


def numbers_of_colours(colours: Values) -> Values:
    """One number for each (…, 3) colour of 8 bits."""
    wide = colours.astype(np.int64)
    packed: Values = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    return packed


def marks_of(stored: StoredImage) -> Marks:
    """The pixels of a mask's file."""
    values = stored.values if stored.alpha is None else np.delete(stored.values, stored.alpha, axis=2)
    alpha = None if stored.alpha is None else stored.values[..., stored.alpha]
    if stored.palette is not None:
        colours = _bytes(stored.palette)[values[..., 0]]
        return Marks(values=values[..., 0], white=stored.white, colours=colours, alpha=alpha)
    if (values != values[..., :1]).any():
        if _is_nearly_grey(values):
            return Marks(values=values.max(axis=2), white=stored.white, alpha=alpha)
        several = _bytes(values[..., :3]) if values.shape[2] >= 3 else None
        return Marks(values=None, white=stored.white, colours=several, alpha=alpha)
    grey = values[..., 0]
    if stored.is_inverted and stored.white is not None:
        grey = stored.white - grey
    return Marks(values=grey, white=stored.white, alpha=alpha)


def _is_nearly_grey(values: Values) -> bool:
    """Whether three channels of 8 bits differ by no more than JPEG does to black and white."""
    if values.dtype != np.uint8 or values.shape[2] != 3 or values.max() < _BRIGHT:
        return False
    largest = np.maximum(np.maximum(values[..., 0], values[..., 1]), values[..., 2])
    smallest = np.minimum(np.minimum(values[..., 0], values[..., 1]), values[..., 2])
    return int((largest - smallest).max()) <= _NOISE


def _bytes(colours: Values) -> Values:
    """Colours of 8 bits."""
    return (colours >> 8).astype(np.uint8) if colours.dtype == np.uint16 else colours.astype(np.uint8, copy=False)
