"""From an image to the pieces that a network is called with, by the functions of training, and back to its size."""

from collections.abc import Sequence
from dataclasses import dataclass

from preceptor.data.resize import to_image_size, to_network_size
from preceptor.data.samples import Pixels
from preceptor.data.tiles import Logits, cut, joined_tiles
from preceptor.deploy.contract import Contract


@dataclass(frozen=True, slots=True)
class Pieces:
    """An image as a network sees it.

    Args:
        name: what the image is called in tables.
        size: (height, width) of the image as it is stored.
        corners: (y, x) of each piece in the image; one of (0, 0) where it was resized as a whole.
        pixels: (H, W, C) of each piece, all of one size.
    """

    name: str
    size: tuple[int, int]
    corners: tuple[tuple[int, int], ...]
    pixels: tuple[Pixels, ...]


def pieces_of(name: str, image: Pixels, contract: Contract) -> Pieces:
    """What training would have packed of ``image``, to the bit."""
    size = image.shape[0], image.shape[1]
    if contract.tile is None:
        fill = contract.fill or (0,) * contract.reading.channels
        whole, _ = to_network_size(image, None, contract.image_size, contract.resize, fill)
        return Pieces(name, size, ((0, 0),), (whole,))
    tiles = cut(image, None, contract.tile.size, contract.tile.overlap)
    return Pieces(name, size, tuple((y, x) for y, x, _, _ in tiles), tuple(pixels for _, _, pixels, _ in tiles))


def whole_logits(logits: Sequence[Logits], pieces: Pieces, contract: Contract) -> Logits:
    """(C, H, W) of the image that the pieces are of: of its own size where it was cut into tiles."""
    return logits[0] if contract.tile is None else joined_tiles(logits, pieces.corners, pieces.size, name=pieces.name)


def mask_of_image(mask: Pixels, pieces: Pieces, contract: Contract) -> Pixels:
    """``mask`` of what the network saw of an image, at the image's own size; what was not seen is background."""
    return mask if contract.tile else to_image_size(mask, pieces.size, contract.resize)
