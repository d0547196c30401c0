"""Shapes that phantom tissue is made of: smooth noise, soft blobs, fibres, cells of fat.

A :class:`Canvas` measures in micrometres, so that the same tissue can be drawn at any resolution.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]  # (pixels, pixels)


@dataclass(frozen=True)
class Canvas:
    """A square field of view.

    Args:
        rng: where every number of this picture comes from.
        pixels: side in pixels.
        side: side in micrometres.
    """

    rng: np.random.Generator
    pixels: int
    side: float

    @property
    def unit(self) -> float:
        """Pixels per micrometre."""
        return self.pixels / self.side

    def noise(self, grain: float) -> Field:
        """Smooth noise of mean 0 and standard deviation about 1 whose bumps are ``grain`` micrometres apart."""
        cells = max(2, round(self.side / grain))
        weights = _spline(self.pixels, cells)
        knots = self.rng.standard_normal((cells + 3, cells + 3), dtype=np.float32)
        return np.asarray(weights @ knots @ weights.T * np.float32(1 / 0.48))

    def coordinates(self) -> tuple[Field, Field]:
        """Row and column of every pixel in micrometres, as (pixels, 1) and (1, pixels)."""
        steps = _steps(self.pixels) * np.float32(1 / self.unit)
        return steps[:, None], steps[None, :]

    def scatter(self, spacing: float, keep: float = 1.0, disorder: float = 0.8) -> NDArray[np.float32]:
        """Points about ``spacing`` micrometres apart, (K, 2): a grid with every point moved, a share ``keep`` of it."""
        count = int(self.side / spacing) + 2
        rows, columns = np.divmod(np.arange(count * count, dtype=np.int64), count)
        points = np.stack([rows, columns + 0.5 * (rows % 2)], axis=1) - self.rng.random(2)
        points += disorder * (self.rng.random(points.shape) - 0.5)
        return np.asarray((points * spacing)[self.rng.random(len(points)) < keep], dtype=np.float32)


@lru_cache(maxsize=64)
def _spline(pixels: int, cells: int) -> NDArray[np.float32]:
    """Weights of the uniform cubic B-spline, (pixels, cells + 3)."""
    position = (np.arange(pixels) + 0.5) / pixels * cells
    first = np.floor(position).astype(np.int64)
    t = position - first
    blend = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1) / 6
    weights = np.zeros((pixels, cells + 3), dtype=np.float32)
    weights[np.arange(pixels)[:, None], first[:, None] + np.arange(4)] = blend
    return weights


@lru_cache(maxsize=64)
def _steps(pixels: int) -> NDArray[np.float32]:
    return np.arange(pixels, dtype=np.float32) + np.float32(0.5)


def blobs(
    canvas: Canvas,
    centres: NDArray[np.float32],
    radii: NDArray[np.float32],
    stretch: NDArray[np.float32],
    angles: NDArray[np.float32],
    strength: NDArray[np.float32],
    *,
    ragged: float = 0.0,
    rim: float = 0.0,
) -> Field:
    """Soft ellipses, the strongest winning where they meet.

    Args:
        centres: (K, 2) micrometres.
        radii: (K,) micrometres, the geometric mean of both half axes.
        stretch: (K,) long half axis over short half axis.
        angles: (K,) direction of the long axis in radians.
        strength: (K,) value inside.
        ragged: size of a three-lobed dent as a share of the radius.
        rim: how much darker the edge is than the centre.
    """
    pixels, unit = canvas.pixels, canvas.unit
    field = np.zeros((pixels, pixels), dtype=np.float32)
    if not len(centres):
        return field
    reach = int(np.ceil(float((radii * np.sqrt(stretch)).max()) * unit * (1 + ragged) + 1))
    inside = ((centres * unit > -reach) & (centres * unit < pixels + reach)).all(axis=1)
    centres, radii, stretch = centres[inside] * np.float32(unit), radii[inside] * np.float32(unit), stretch[inside]
    angles, strength = angles[inside], strength[inside]

    corner = np.floor(centres).astype(np.int64) - reach  # (K, 2)
    window = np.arange(2 * reach + 1, dtype=np.float32)
    rows = (window[None, :] + (corner[:, :1] + 0.5 - centres[:, :1]).astype(np.float32))[:, :, None]  # (K, w, 1)
    columns = (window[None, :] + (corner[:, 1:] + 0.5 - centres[:, 1:]).astype(np.float32))[:, None, :]  # (K, 1, w)
    size = np.maximum(radii, np.float32(0.3))
    distance = np.sqrt(_quadratic(rows, columns, angles, size * np.sqrt(stretch), size / np.sqrt(stretch)))
    if ragged:
        rows_squared, columns_squared = rows * rows, columns * columns
        away = rows_squared + columns_squared + np.float32(0.1)
        distance *= 1 + np.float32(ragged) * columns * (columns_squared - 3 * rows_squared) / (away * np.sqrt(away))
    depth = np.subtract(1, distance, out=distance)
    cover = np.clip(depth * size[:, None, None] + np.float32(0.5), 0, 1)
    if rim:
        cover *= 1 - np.float32(rim) * np.clip(depth, 0, 1)
    cover *= strength[:, None, None]

    padded = np.zeros((pixels + 4 * reach + 2, pixels + 4 * reach + 2), dtype=np.float32)
    width = 2 * reach + 1
    for (top, left), stamp in zip((corner + 2 * reach).tolist(), cover, strict=True):
        spot = padded[top : top + width, left : left + width]
        np.maximum(spot, stamp, out=spot)
    field[:] = padded[2 * reach : 2 * reach + pixels, 2 * reach : 2 * reach + pixels]
    return field


def _quadratic(
    rows: NDArray[np.float32],
    columns: NDArray[np.float32],
    angles: NDArray[np.float32],
    long: NDArray[np.floating[Any]],
    short: NDArray[np.floating[Any]],
) -> NDArray[np.float32]:
    """Squared distance from the centre in units of the ellipse, (K, w, w); 1 on its edge."""
    cosine, sine = np.cos(angles), np.sin(angles)
    columns_weight = (cosine / long) ** 2 + (sine / short) ** 2
    rows_weight = (sine / long) ** 2 + (cosine / short) ** 2
    cross_weight = 2 * cosine * sine * (long**-2 - short**-2)
    squared = rows * (columns * cross_weight[:, None, None])
    squared += columns**2 * columns_weight[:, None, None]
    squared += rows**2 * rows_weight[:, None, None]
    return np.asarray(np.maximum(squared, 0, out=squared))


def fibres(canvas: Canvas, angle: float, spacing: float, waviness: float) -> Field:
    """Wavy parallel strands in [0, 1], ``spacing`` micrometres apart, running along ``angle``."""
    rows, columns = canvas.coordinates()
    across = rows * np.float32(np.cos(angle)) - columns * np.float32(np.sin(angle))
    phase = across * np.float32(2 * np.pi / spacing) + canvas.noise(22) * np.float32(waviness)
    return np.asarray(0.5 + 0.5 * np.sin(phase))


def vacuoles(canvas: Canvas, spacing: float, wall: float) -> Field:
    """Cells packed side by side: 1 on the walls between them, 0 inside (borders of a Voronoi diagram)."""
    centres = canvas.scatter(spacing)
    rows, columns = canvas.coordinates()
    distance = np.sqrt((rows - centres[:, 0, None, None]) ** 2 + (columns - centres[:, 1, None, None]) ** 2)
    nearest = np.partition(distance, 1, axis=0)[:2]
    softness = np.float32(max(0.5 * wall, 0.7 / canvas.unit))
    return np.asarray(np.clip((wall - (nearest[1] - nearest[0])) / softness + 1, 0, 1))
