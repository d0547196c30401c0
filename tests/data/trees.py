"""Small files and folders in the layouts that data sets are published in."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def save_image(path: Path, seed: int = 0, size: tuple[int, int] = (8, 8)) -> Path:
    """A random RGB picture of ``size`` (height, width)."""
    return save_array(path, np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def save_mask(path: Path, size: tuple[int, int] = (8, 8), foreground: int = 255, side: int = 4) -> Path:
    """A square of ``foreground`` in the upper left corner."""
    values = np.zeros(size, dtype=np.uint8)
    values[:side, :side] = foreground
    return save_array(path, values)


def save_array(path: Path, values: NDArray[np.generic]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def truncate(path: Path) -> Path:
    """Cut a file in half."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def class_folders(root: Path, per_class: int = 4, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    for number, name in enumerate(classes):
        for image in range(per_class):
            save_image(root / name / f"p{image // 2}_{image}.png", seed=100 * number + image)
    return root


def pairs(root: Path, count: int = 3, images: str = "images", masks: str = "masks", start: int = 0) -> Path:
    for number in range(start, start + count):
        save_image(root / images / f"TCGA-AA-{number:04d}-01Z.png", seed=number)
        save_mask(root / masks / f"TCGA-AA-{number:04d}-01Z.png", side=number % 4 + 1)
    return root
