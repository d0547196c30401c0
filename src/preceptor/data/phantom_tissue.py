"""How eight kinds of tissue take up haematoxylin and eosin, drawn from simple shapes.

Each kind is a function of a canvas and a shift in [-1, 1] (how far this picture leans towards its
neighbours), and gives the amounts of both stains per pixel. The kinds are those of Kather et al. 2016,
Sci. Rep. 6:27988, figure 1; sizes are those of the textbook (a lymphocyte's nucleus is 5 to 6
micrometres wide, a carcinoma's 8 to 12).
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from preceptor.data.phantom_shapes import Canvas, Field, blobs, fibres, vacuoles

Stained = tuple[Field, Field]  # haematoxylin, eosin


def _nuclei(
    canvas: Canvas,
    centres: NDArray[np.float32],
    *,
    radius: tuple[float, float],
    stretch: tuple[float, float] = (1.0, 1.3),
    strength: tuple[float, float] = (1.0, 1.4),
    angle: float | None = None,
    ragged: float = 0.0,
    rim: float = 0.25,
) -> Field:
    """Nuclei at ``centres`` with sizes, shapes and darkness drawn between the given bounds."""
    count = len(centres)
    draw = canvas.rng.random((4, count), dtype=np.float32)
    spin = draw[3] * np.float32(np.pi) if angle is None else np.float32(angle) + (draw[3] - np.float32(0.5))
    return blobs(
        canvas,
        centres,
        radius[0] + draw[0] * np.float32(radius[1] - radius[0]),
        stretch[0] + draw[1] * np.float32(stretch[1] - stretch[0]),
        np.asarray(spin, dtype=np.float32),
        strength[0] + draw[2] * np.float32(strength[1] - strength[0]),
        ragged=ragged,
        rim=rim,
    )


def _chromatin(canvas: Canvas, nuclei: Field, amount: float) -> Field:
    return nuclei * (1 + np.float32(amount) * canvas.noise(1.6))


def tumour(canvas: Canvas, shift: float) -> Stained:
    """Crowded, large, uneven nuclei with nucleoli in purple cytoplasm, split into nests by thin clefts."""
    centres = canvas.scatter(8.6 + 1.4 * shift, keep=0.95)
    nuclei = _nuclei(
        canvas, centres, radius=(3.1 - 0.5 * shift, 4.9 - 0.7 * shift), stretch=(1.0, 1.7), strength=(0.7, 1.25),
        ragged=0.12, rim=0.35,
    )  # fmt: skip
    nucleoli = _nuclei(canvas, centres + np.float32(0.6), radius=(0.7, 1.0), strength=(0.4, 0.8), rim=0.0)
    cleft = np.exp(-((canvas.noise(17) / np.float32(0.14)) ** 2))
    haematoxylin = 0.30 + 0.07 * canvas.noise(4) + _chromatin(canvas, nuclei, 0.18) + nucleoli * (nuclei > 0.2)
    eosin = 0.36 + 0.08 * canvas.noise(5) - 0.1 * np.minimum(nuclei, 1)
    return haematoxylin * (1 - 0.75 * cleft), eosin * (1 - 0.35 * cleft)


def stroma(canvas: Canvas, shift: float) -> Stained:
    """Wavy pink fibres with a few thin nuclei lying along them."""
    angle = float(canvas.rng.random() * np.pi)
    strands = fibres(canvas, angle, 5.0, 2.2) * 0.6 + fibres(canvas, angle, 2.3, 2.6) * 0.4
    nuclei = _nuclei(
        canvas, canvas.scatter(14.5 - 3.5 * shift, keep=0.8), radius=(1.7, 2.5), stretch=(2.6, 4.8),
        strength=(0.7, 1.15), angle=angle,
    )  # fmt: skip
    haematoxylin = 0.05 + 0.03 * canvas.noise(9) + _chromatin(canvas, nuclei, 0.12)
    return haematoxylin, 0.28 + 0.42 * strands + 0.08 * canvas.noise(12)


def mixed(canvas: Canvas, shift: float) -> Stained:
    """Complex stroma: loose fibres with single tumour cells and single immune cells."""
    angle = float(canvas.rng.random() * np.pi)
    strands = fibres(canvas, angle, 6.0, 3.4)
    large = _nuclei(
        canvas, canvas.scatter(13.5 + 1.5 * shift, keep=0.55), radius=(2.6, 4.0), stretch=(1.0, 1.6),
        strength=(0.7, 1.15), ragged=0.1, rim=0.35,
    )  # fmt: skip
    small = _nuclei(
        canvas, canvas.scatter(9.5 - 1.5 * shift, keep=0.45), radius=(1.9, 2.6), stretch=(1.0, 1.5),
        strength=(1.0, 1.5),
    )  # fmt: skip
    haematoxylin = 0.12 + 0.06 * canvas.noise(8) + _chromatin(canvas, np.maximum(large, small), 0.15)
    return haematoxylin, 0.24 + 0.26 * strands + 0.10 * canvas.noise(9)


def lymphocytes(canvas: Canvas, shift: float) -> Stained:
    """Small round dark nuclei, packed, with next to no cytoplasm."""
    nuclei = _nuclei(
        canvas, canvas.scatter(5.9 + 1.2 * shift, keep=0.93, disorder=0.6), radius=(2.1, 2.7 + 0.3 * shift),
        stretch=(1.0, 1.2), strength=(1.15, 1.65), rim=0.1,
    )  # fmt: skip
    return 0.14 + 0.05 * canvas.noise(6) + _chromatin(canvas, nuclei, 0.12), 0.17 + 0.06 * canvas.noise(7)


def debris(canvas: Canvas, shift: float) -> Stained:
    """Dead tissue: a mottled ground with holes, fragments of nuclei and streaks of mucus."""
    ground = canvas.noise(5) * 0.6 + canvas.noise(2.2) * 0.5
    holes = np.clip(canvas.noise(9) * 1.5 - 0.7 - 0.4 * shift, 0, 1)
    fragments = _nuclei(
        canvas, canvas.scatter(4.4, keep=0.5 + 0.15 * shift), radius=(0.5, 1.5), stretch=(1.0, 2.2),
        strength=(0.3, 1.1), ragged=0.25,
    )  # fmt: skip
    haematoxylin = 0.17 + 0.10 * ground + fragments
    eosin = 0.40 + 0.17 * ground
    return haematoxylin * (1 - 0.85 * holes), eosin * (1 - 0.85 * holes)


def mucosa(canvas: Canvas, shift: float) -> Stained:
    """Glands cut across: an open lumen, a ring of cells with pale goblets, nuclei along the outer edge."""
    haematoxylin, eosin = stroma(canvas, 0.6)
    haematoxylin, eosin = haematoxylin * 0.8 + 0.04, eosin * 0.8
    rows, columns = canvas.coordinates()
    rng = canvas.rng
    gland, lumen = np.zeros((2, canvas.pixels, canvas.pixels), dtype=np.float32)
    nuclei, goblets = [], []  # rows of centre y, centre x, radius, angle
    for centre in canvas.scatter(36 + 4 * shift, disorder=0.35):
        radius = float(rng.uniform(13, 16.5))
        if not ((centre > -radius) & (centre < canvas.side + radius)).all():
            continue
        wobble, turn = float(rng.uniform(0.05, 0.16)), float(rng.uniform(0, 2 * np.pi))
        down, right = rows - centre[0], columns - centre[1]
        squared = down**2 + right**2 + np.float32(1e-3)
        lobe = ((right**2 - down**2) * np.cos(turn) + right * down * (2 * np.sin(turn))) / squared
        depth = np.sqrt(squared) / (radius + radius * wobble * lobe)  # 0 in the middle, 1 at the edge
        gland = np.maximum(gland, np.clip((1 - depth) * (radius * canvas.unit), 0, 1))
        lumen = np.maximum(lumen, np.clip((0.30 - depth) * (radius * canvas.unit), 0, 1))

        cells = max(8, int(2 * np.pi * radius / 4.0))
        around = np.arange(cells) / cells * 2 * np.pi + rng.uniform(-0.08, 0.08, cells)
        reach = radius * (1 + wobble * np.cos(2 * around - turn))
        spokes = np.stack([np.sin(around), np.cos(around)], axis=1) * reach[:, None]
        nuclei.append(np.column_stack([centre + 0.84 * spokes, rng.uniform(1.6, 2.1, cells), around]))
        goblets.append(np.column_stack([centre + 0.56 * spokes, rng.uniform(1.7, 2.5, cells), around])[::2])
    if nuclei:
        ring = _standing(canvas, np.concatenate(nuclei), stretch=1.7, strength=(0.8, 1.3))
        pale = _standing(canvas, np.concatenate(goblets), stretch=1.3, strength=(1.0, 1.0))
        inner_h = (0.20 + ring) * (1 - 0.6 * pale) * (1 - lumen)
        inner_e = 0.34 * (1 - 0.7 * pale) * (1 - 0.9 * lumen)
        haematoxylin = np.asarray(haematoxylin * (1 - gland) + inner_h * gland, dtype=np.float32)
        eosin = np.asarray(eosin * (1 - gland) + inner_e * gland, dtype=np.float32)
    haematoxylin, eosin = haematoxylin + 0.03 * canvas.noise(4), eosin + 0.04 * canvas.noise(6)
    return np.asarray(haematoxylin, dtype=np.float32), np.asarray(eosin, dtype=np.float32)


def _standing(canvas: Canvas, cells: NDArray[np.float64], *, stretch: float, strength: tuple[float, float]) -> Field:
    """Ellipses given by rows of centre y, centre x, radius and angle, all stretched alike."""
    placed = cells.astype(np.float32)
    dark = canvas.rng.uniform(*strength, len(placed)).astype(np.float32)
    long = np.full(len(placed), stretch, dtype=np.float32)
    return blobs(canvas, placed[:, :2], placed[:, 2], long, placed[:, 3], dark, rim=0.2)


def adipose(canvas: Canvas, shift: float) -> Stained:
    """Fat: empty vacuoles with thin pink walls and a few flat nuclei in them."""
    walls = vacuoles(canvas, 21 - 3 * shift, 1.1 + 0.5 * shift)
    nuclei = _nuclei(canvas, canvas.scatter(13, keep=0.5), radius=(1.2, 1.8), stretch=(1.5, 3.0), strength=(0.6, 1.0))
    return 0.01 + 0.10 * walls + walls * nuclei, 0.015 + 0.42 * walls + 0.08 * walls * canvas.noise(10)


def background(canvas: Canvas, shift: float) -> Stained:
    """The bare slide: hardly any stain, some dust, sometimes a thin smear."""
    smear = np.asarray(np.clip(canvas.noise(24) - 1.1 + 0.5 * shift, 0, 1), dtype=np.float32)
    dust = _nuclei(canvas, canvas.scatter(26, keep=0.35), radius=(0.4, 0.9), strength=(0.1, 0.4))
    return 0.015 + 0.05 * smear + dust * 0.6, 0.02 + 0.13 * smear + dust * 0.3


TISSUES: Final[dict[str, Callable[[Canvas, float], Stained]]] = {
    "tumour": tumour,
    "stroma": stroma,
    "complex": mixed,
    "lymphocytes": lymphocytes,
    "debris": debris,
    "mucosa": mucosa,
    "adipose": adipose,
    "background": background,
}
