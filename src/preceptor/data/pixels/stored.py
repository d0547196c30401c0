"""An image as its file holds it, before its values become levels of brightness."""

import tempfile
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
Opacity = Literal["straight", "premultiplied"]


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """The values of one image, upright, nothing scaled yet.

    Args:
        values: (H, W, C).
        white: the value that the format declares to be the brightest, such as 65535 of 16 bits; None where it declares
            none (signed whole numbers, 32 bits). Floating point is bright at 1.
        is_inverted: 0 is the brightest value and ``white`` the darkest.
        colours: how many of the channels are known to be colours: 1 (grey) or 3 (red, green, blue); the others are
            opacity, or measure what the file does not say.
        alpha: the channel that is opacity, or None.
        opacity: whether colours were multiplied by it already.
        window: the darkest and the brightest value as the file itself recommends to show it, in its ``values``.
        palette: (256, 3) colours of the values, where these are numbers of colours and were left so.
        about: what is to be said of the file, such as pages that were left out.
    """

    values: Values
    white: int | None
    is_inverted: bool = False
    colours: int = 1
    alpha: int | None = None
    opacity: Opacity = "straight"
    window: tuple[float, float] | None = None
    palette: NDArray[np.uint8] | None = None
    about: str = ""

    def __post_init__(self) -> None:
        assert self.values.ndim == 3, self.values.shape

    def turned(self, orientation: int) -> "StoredImage":
        """The same image turned as its orientation tag says."""
        return replace(self, values=upright(self.values, orientation)) if orientation != 1 else self


def upright(values: Values, orientation: int) -> Values:
    """(H, W, …) values turned as EXIF's and TIFF's ``Orientation`` (1 to 8) says; other numbers mean nothing."""
    turns: dict[int, Any] = {
        2: lambda stored: stored[:, ::-1],
        3: lambda stored: stored[::-1, ::-1],
        4: lambda stored: stored[::-1],
        5: lambda stored: stored.swapaxes(0, 1),
        6: lambda stored: stored.swapaxes(0, 1)[:, ::-1],
        7: lambda stored: stored.swapaxes(0, 1)[::-1, ::-1],
        8: lambda stored: stored.swapaxes(0, 1)[::-1],
    }
    turned: Values = turns[orientation](values) if orientation in turns else values
    return turned


def with_channels(values: Values) -> Values:
    """(H, W) or (H, W, C) values as (H, W, C)."""
    return np.expand_dims(values, axis=2) if values.ndim == 2 else values


def on_disk(shape: tuple[int, ...], dtype: Any) -> Any:
    """An empty array in a file that has no name and is gone with the array: for images larger than the memory."""
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=dtype, mode="w+", shape=shape)
