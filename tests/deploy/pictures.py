"""Images of many sizes and kinds, made by the tests."""

import numpy as np
import tifffile
from PIL import Image


def coloured(rng, number, shape, dtype=np.uint8):
    """Noise with an edge whose place and colour depend on the class, so that geometry and colour matter."""
    top = np.iinfo(dtype).max
    pixels = rng.integers(0, top // 2, (*shape, 3))
    pixels[: shape[0] // 3, :, number % 3] = top - top // 8
    return pixels.astype(dtype)


def deep_folders(root, high, count=24):
    """Two classes of grey 16-bit images, from 0 to ``high``."""
    rng = np.random.default_rng(high)
    for number in range(count):
        folder = root / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        values = rng.integers(0, high // (1 + number % 2), (24, 24), dtype=np.uint16)
        tifffile.imwrite(folder / f"{number}.tif", values)
    return root


def class_folders(root, seed=3):
    """Two classes of PNG, JPEG and grey 16-bit TIFF (0.5 µm a pixel), wide and tall, larger and smaller than 24 px."""
    rng = np.random.default_rng(seed)
    shapes = [(37, 61), (64, 41), (19, 23), (50, 50), (24, 33), (31, 24)]
    for number in range(48):
        folder = root / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        shape, kind = shapes[number % len(shapes)], number // 2 % 4
        if kind < 3:
            image = Image.fromarray(coloured(rng, number, shape))
            image.save(folder / f"{number}.{'png' if kind else 'jpg'}")
        else:
            values = coloured(rng, number, shape, np.uint16)[..., 0]
            tifffile.imwrite(folder / f"{number}.tif", values, resolution=(20_000, 20_000), resolutionunit=3)
    return root


def image_and_mask_folders(root, shapes):
    rng = np.random.default_rng(5)
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for number in range(20):
        shape = shapes[number % len(shapes)]
        mask = np.zeros(shape, dtype=np.uint8)
        mask[shape[0] // 4 : shape[0] // 2 + number, shape[1] // 5 : shape[1] // 2] = 255
        pixels = coloured(rng, number, shape)
        pixels[mask > 0, 0] = 255
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")
    return root
