"""What the readers of every format share: how they are asked, and how they refuse."""

from dataclasses import dataclass
from pathlib import Path

from preceptor.errors import UserError
from preceptor.quoting import quoted, shown

MOST_PIXELS = 178_956_970
"""Of one image that is read at once: as many as Pillow takes for honest."""

_CHANNELS = 16  # of the largest image that is read at once
_BYTES = 8  # of a pixel of the largest image that a stranger may send


@dataclass(frozen=True, kw_only=True)
class ReadRequest:
    """One file that is to be read.

    Args:
        path: of the file.
        what: it is, for messages: ``image`` or ``mask``.
        resolve_palette: give the colours of a palette rather than their numbers.
        channels: as many as are wanted.
        any_size: read also what is larger than :data:`MOST_PIXELS`, into a file: it is to be cut into tiles.
        is_upright: turn it as its orientation tag says.
        place: of the picture in a file that holds several.
        axis, stack: of a volume, see :class:`preceptor.data.pixels.rules.PixelRules`.
        most: pixels that are read, where these are fewer than usual: strangers send the images.
    """

    path: str | Path
    what: str = "image"
    resolve_palette: bool = True
    channels: int = 3
    any_size: bool = False
    is_upright: bool = True
    place: int | None = None
    axis: int = 2
    stack: int = 1
    most: int | None = None

    def damaged(self, reason: str) -> UserError:
        """The error for a file that is not what it should be."""
        return UserError(
            f"{self.what} {quoted(self.path)} is damaged or no image: {reason}\n"
            "Replace or remove it; `preceptor data inspect` names every such file."
        )

    def too_large(self, has: str) -> UserError:
        """The error for a file that cannot be decoded at once."""
        tile = "set data.tile, which reads it piece by piece, or " if self.most is None else ""
        return UserError(
            f"{self.what} {quoted(self.path)} is too large to decode at once: it has {has}; {tile}"
            "cut it into tiles first"
        )

    @property
    def is_from_stranger(self) -> bool:
        """Whether the file may be made to do harm."""
        return self.most is not None

    def require_size(self, height: int, width: int, channels: int = 1, *, item: int = 1) -> None:
        """Look at what a file says of its size before anything is decoded.

        Args:
            item: bytes of each value.

        Raises:
            OverflowError: more than is read at once.
        """
        most, count = self.most or MOST_PIXELS, height * width * channels
        if not self.any_size and (height * width > most or count > _CHANNELS * most):
            raise OverflowError(f"{height:,} x {width:,} pixels of {channels} channels, and {most:,} are read")
        if self.most is not None and count * item > _BYTES * self.most:
            raise OverflowError(f"{height:,} x {width:,} pixels of {channels} x {8 * item} bits")

    def refused(self, reason: str) -> UserError:
        """The error for a sound file of a kind that is not read."""
        return UserError(f"{self.what} {quoted(self.path)} {reason}")

    def several(self, pages: int, of: str = "pages or frames") -> UserError:
        """The error for several pictures where one was wanted."""
        return self.refused(
            f"has {pages} {of}: one was expected; save each as an image of its own"
            + (f", or set data.channels={pages} if they are the channels of one image" if 1 < pages <= 16 else "")
        )


class DamagedImageError(ValueError):
    """A file that lacks some of what it says it holds."""


class NotDecodableError(ValueError):
    """A sound file of a kind that is not read, with the reason, as the rest of a sentence about it."""


def first_line_shown(error: BaseException) -> str:
    """The first line of what a library says."""
    return shown((str(error) or type(error).__name__).splitlines()[0])
