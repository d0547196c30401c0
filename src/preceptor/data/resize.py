"""Bringing an image and its mask to the size that networks want, to the pixel as timm's transforms do it."""

from typing import Any

import numpy as np
from PIL import Image

from preceptor.data.samples import Pixels
from preceptor.specs import IGNORED, Colour, ResizeRule

__all__ = ["ResizeRule", "fill", "has_padding", "rules_of", "to_image_size", "to_network_size"]

ImageSize = tuple[int, int]
"""Height and width."""

_BLACK: Colour = (0, 0, 0)


def to_network_size(
    image: Pixels, mask: Pixels | None, size: ImageSize, rule: ResizeRule, padding: Colour = _BLACK
) -> tuple[Pixels, Pixels | None]:
    """``image`` and ``mask`` at ``size``; the image bilinear with anti-aliasing, the mask nearest.

    Each rule computes what timm's evaluation transform of one ``crop_mode`` computes at ``crop_pct`` 1: ``squash``
    stretches; ``crop`` (timm's ``center``) scales the side that is relatively shorter and cuts the centre; ``pad``
    (timm's ``border``) scales the other side and fills what is left around with ``padding``, the mask with
    :data:`~preceptor.specs.IGNORED`.
    """
    if image.shape[:2] == size:
        return image, mask
    inner = _inner((image.shape[0], image.shape[1]), size, rule)
    image = _sample(image, inner, Image.Resampling.BILINEAR)
    mask = None if mask is None else _sample(mask, inner, Image.Resampling.NEAREST)
    if inner == size:
        return image, mask
    return _centred(image, size, padding), None if mask is None else _centred(mask, size, IGNORED)


def has_padding(found: ImageSize, wanted: ImageSize) -> bool:
    """Whether ``pad`` has to fill up an image of this size."""
    return _inner(found, wanted, "pad") != wanted


def to_image_size(mask: Pixels, size: ImageSize, rule: ResizeRule) -> Pixels:
    """A mask of what :func:`to_network_size` made of an image of ``size``, at that size: nearest pixel.

    What ``crop`` has cut off becomes class 0; what ``pad`` has added goes.
    """
    fitted = mask.shape[0], mask.shape[1]
    if fitted == size:
        return mask
    inner = _inner(size, fitted, rule)
    larger = max(inner[0], fitted[0]), max(inner[1], fitted[1])
    whole = _placed(mask, larger, _first_kept(larger, fitted), 0)
    top, left = (larger[0] - inner[0]) // 2, (larger[1] - inner[1]) // 2
    return _sample(whole[top : top + inner[0], left : left + inner[1]], size, Image.Resampling.NEAREST)


def rules_of(rule: ResizeRule, padding: Colour | None) -> dict[str, Any]:
    """What the pixels depend on besides the size, by which packed sets are told apart."""
    if rule == "squash":
        return {"resize": rule}
    as_timm = {"crop": "center", "pad": "border"}[rule]  # sets from before the rules were timm's lack this
    return {"resize": rule, "as_timm": as_timm, **({"padding": list(padding or _BLACK)} if rule == "pad" else {})}


def fill(image: Pixels, mask: Pixels | None, height: int, width: int) -> tuple[Pixels, Pixels | None]:
    """Fill up to ``height`` × ``width`` below and to the right with the median colour of the image's border, the mask
    with :data:`~preceptor.specs.IGNORED`."""
    if image.shape[:2] == (height, width):
        return image, mask
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    whole = _placed(image, (height, width), (0, 0), np.median(border, axis=0).astype(image.dtype))
    return whole, None if mask is None else _placed(mask, (height, width), (0, 0), IGNORED)


def _inner(found: ImageSize, wanted: ImageSize, rule: ResizeRule) -> ImageSize:
    """The size to which an image is scaled before it is cut or filled up; rounded as torchvision and timm round."""
    if rule == "squash":
        return wanted
    if rule == "crop" and wanted[0] == wanted[1]:  # torchvision's Resize, which cuts off digits
        short, other = min(found), int(wanted[0] * max(found) / min(found))
        return (wanted[0], other) if found[0] == short else (other, wanted[1])
    ratios = (found[0] / wanted[0], found[1] / wanted[1])  # timm's ResizeKeepRatio
    ratio = min(ratios) if rule == "crop" else max(ratios)
    return max(1, round(found[0] / ratio)), max(1, round(found[1] / ratio))


def _centred(pixels: Pixels, size: ImageSize, padding: Colour | int) -> Pixels:
    """The centre of ``pixels``, on a ground of ``padding`` where they are smaller."""
    larger = max(pixels.shape[0], size[0]), max(pixels.shape[1], size[1])
    if pixels.shape[:2] != larger:
        corner = (larger[0] - pixels.shape[0]) // 2, (larger[1] - pixels.shape[1]) // 2
        ground = np.array(padding, dtype=np.uint8).astype(pixels.dtype)
        pixels = _placed(pixels, larger, corner, ground * pixels.dtype.type(257 if pixels.dtype == np.uint16 else 1))
    top, left = _first_kept(larger, size)
    return pixels[top : top + size[0], left : left + size[1]]


def _first_kept(larger: ImageSize, size: ImageSize) -> ImageSize:
    """Where the centre of ``size`` begins in ``larger``."""
    return round((larger[0] - size[0]) / 2), round((larger[1] - size[1]) / 2)  # half to even, as torchvision's


def _placed(pixels: Pixels, size: ImageSize, corner: ImageSize, ground: Any) -> Pixels:
    whole = np.empty((*size, *pixels.shape[2:]), dtype=pixels.dtype)
    whole[:] = ground
    whole[corner[0] : corner[0] + pixels.shape[0], corner[1] : corner[1] + pixels.shape[1]] = pixels
    return whole


def _sample(pixels: Pixels, size: ImageSize, how: Image.Resampling) -> Pixels:
    if pixels.dtype == np.uint8 and (pixels.ndim == 2 or pixels.shape[2] == 3):
        return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), how))
    return np.stack([_one_channel(pixels[..., place], size, how) for place in range(pixels.shape[2])], axis=2)


def _one_channel(pixels: Pixels, size: ImageSize, how: Image.Resampling) -> Pixels:
    """Each channel on its own: Pillow takes the last of 2 and of 4 for opacity, and keeps 8 bits of several."""
    if pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), how))
    exact = np.asarray(Image.fromarray(pixels.astype(np.float32)).resize((size[1], size[0]), how))
    rounded: Pixels = np.rint(np.clip(exact, 0, 65535)).astype(pixels.dtype)
    return rounded
