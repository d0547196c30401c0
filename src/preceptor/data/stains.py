"""The colours of haematoxylin and eosin, as optical density.

Light that passes stained tissue follows the law of Beer and Lambert: per colour channel,
``intensity = white * exp(-sum over stains of amount * vector)``.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

HAEMATOXYLIN: Final = (0.65, 0.70, 0.29)
EOSIN: Final = (0.07, 0.99, 0.11)
"""Optical density of one unit of stain in red, green, blue: Ruifrok & Johnston 2001,
Anal. Quant. Cytol. Histol. 23:291, the measured vectors for H&E."""


def stain_basis() -> NDArray[np.float64]:
    """Unit vectors of haematoxylin, eosin and what is neither (their cross product), shape (3, 3), one per row."""
    haematoxylin, eosin = np.asarray(HAEMATOXYLIN), np.asarray(EOSIN)
    rows = np.stack([haematoxylin, eosin, np.cross(haematoxylin, eosin)])
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@cache
def unmixing() -> NDArray[np.float64]:
    """(3, 2) amounts of haematoxylin and eosin in an optical density of red, green and blue."""
    return np.asarray(np.linalg.inv(stain_basis())[:, :2])
