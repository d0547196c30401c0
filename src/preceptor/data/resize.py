"""Bringing an image and its mask to the size that networks want."""

from typing import Literal

import numpy as np
from PIL import Image

from preceptor.data.samples import Pixels

ResizeRule = Literal["squash", "crop", "pad"]


def fit(image: Pixels, mask: Pixels | None, size: tuple[int, int], rule: ResizeRule) -> tuple[Pixels, Pixels | None]:
    """``image`` and ``mask`` at ``size`` (height, width); the image bilinear with anti-aliasing, the mask nearest.

    ``squash`` stretches, ``crop`` scales the short side and cuts the centre, ``pad`` scales the long side
    and fills the rest with the colour of the image's border, the mask with class 0.
    """
    if image.shape[:2] == size:
        return image, mask
    if rule == "pad":
        scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
        inner = (max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale)))
        image, mask = fit(image, mask, inner, "squash")
        return fill(image, mask, *size, centred=True)
    box = _centre(image.shape[0], image.shape[1], size) if rule == "crop" else None
    return _sample(image, size, box, Image.Resampling.BILINEAR), (
        None if mask is None else _sample(mask, size, box, Image.Resampling.NEAREST)
    )


def fill(
    image: Pixels, mask: Pixels | None, height: int, width: int, *, centred: bool = False
) -> tuple[Pixels, Pixels | None]:
    """Fill up to ``height`` × ``width`` with the median colour of the image's border, the mask with class 0."""
    if image.shape[:2] == (height, width):
        return image, mask
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    top, left = ((height - image.shape[0]) // 2, (width - image.shape[1]) // 2) if centred else (0, 0)
    where = np.s_[top : top + image.shape[0], left : left + image.shape[1]]
    whole = np.empty((height, width, 3), dtype=np.uint8)
    whole[:] = np.median(border, axis=0).astype(np.uint8)
    whole[where] = image
    if mask is None:
        return whole, None
    whole_mask = np.zeros((height, width), dtype=np.uint8)
    whole_mask[where] = mask
    return whole, whole_mask


def _centre(height: int, width: int, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest central box with the aspect of ``size``, as (left, top, right, bottom)."""
    scale = min(height / size[0], width / size[1])
    tall, wide = size[0] * scale, size[1] * scale
    left, top = max(0.0, (width - wide) / 2), max(0.0, (height - tall) / 2)
    return left, top, min(float(width), left + wide), min(float(height), top + tall)


def _sample(
    pixels: Pixels, size: tuple[int, int], box: tuple[float, float, float, float] | None, how: Image.Resampling
) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), how, box))
