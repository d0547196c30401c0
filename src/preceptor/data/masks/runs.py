"""Masks as text: runs of foreground pixels, as Kaggle's and ISIC's tables give them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from preceptor.data.samples import Pixels
from preceptor.errors import UserError
from preceptor.quoting import quoted, shown

RunOrder = Literal["columns", "rows"]
EMPTY = ("", "-1")
"""Texts of an image without foreground."""


@dataclass(frozen=True)
class Runs:
    """The masks of a table's images, each as texts of runs.

    A text is pairs of numbers, a start and a length. The first pixel is 1, and pixels are counted down the columns, or
    along the rows. Several texts of one image are joined, a pixel of several classes being of the last; an empty one,
    and ``-1``, is no foreground.

    Args:
        texts: of each row.
        order: how pixels are counted.
        of: the class of each text; None where all are of class 1.
    """

    texts: tuple[tuple[str, ...], ...]
    order: RunOrder = "columns"
    of: tuple[tuple[int, ...], ...] | None = None

    @property
    def identity(self) -> str:
        """Another one where a mask is another one."""
        told = repr(self.texts) if self.of is None else repr((self.texts, self.of))
        digest = hashlib.sha256(told.encode()).hexdigest()[:16]
        return f"runs by {self.order} {digest}"

    def take(self, rows: Sequence[int]) -> "Runs":
        """The masks of some of the images."""
        of = None if self.of is None else tuple(self.of[row] for row in rows)
        return replace(self, texts=tuple(self.texts[row] for row in rows), of=of)

    def followed_by_none(self, count: int) -> "Runs":
        """These masks, and so many images more without a text."""
        none: tuple[tuple[()], ...] = ((),) * count
        return replace(self, texts=self.texts + none, of=None if self.of is None else self.of + none)

    def mask(self, row: int, size: tuple[int, int], image: str) -> Pixels:
        """(H, W) uint8, the class where a run covers a pixel, else 0.

        Args:
            size: height and width of the image.
            image: whose mask it is, for errors.

        Raises:
            UserError: a text that is no pairs of numbers, or that leaves the image.
        """
        flat = np.zeros(size[0] * size[1], dtype=np.uint8)
        texts = self.texts[row]
        of = (1,) * len(texts) if self.of is None else self.of[row]
        for value, text in sorted(zip(of, texts, strict=True)):
            for start, length in _pairs(text, image):
                if start < 1 or length < 1 or start - 1 + length > len(flat):
                    raise UserError(
                        f"mask of {quoted(image)}: the run {start} {length} leaves the image, which is {size[0]} x "
                        f"{size[1]} pixels (height x width) and has pixels 1 to {len(flat)}; the table is of images of "
                        "another size, or of others"
                    )
                flat[start - 1 : start - 1 + length] = value
        return np.ascontiguousarray(flat.reshape(size[::-1]).T) if self.order == "columns" else flat.reshape(size)


def _pairs(text: str, image: str) -> list[tuple[int, int]]:
    if text.strip() in EMPTY:
        return []
    parts = text.split()
    if len(parts) % 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise UserError(
            f"mask of {quoted(image)}: {shown(text[:60])} is no list of runs: pairs of whole numbers were expected, a "
            "start and a length each, with blanks between"
        )
    numbers = list(map(int, parts))
    return list(zip(numbers[::2], numbers[1::2], strict=True))
