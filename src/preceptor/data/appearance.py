"""What the images of a run look like, a few numbers each, for whoever asks later whether its parts are alike."""

import io
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.data.samples import PARTS, Pixels
from preceptor.data.stains import unmixing

if TYPE_CHECKING:
    from preceptor.data.prepare import Prepared

MOST = 4000
"""Images of each part, or of a set that has no parts yet, that are looked at, spread evenly over it."""

_SIDE = 64  # rows and columns of an image that are looked at
_AT_ONCE = 256


def appearance(images: Pixels) -> dict[str, NDArray[np.float64]]:
    """Look -> (N,) of images (N, H, W, C): brightness; of colours also saturation and the amounts of both stains.

    Brightness and saturation are from 0 to 1, amounts of stain in units of optical density.
    """
    count = len(images)
    steps = [max(1, side // _SIDE) for side in images.shape[1:3]]
    unit = images[:, :: steps[0], :: steps[1]].reshape(count, -1, images.shape[-1]) / np.iinfo(images.dtype).max
    found = {"brightness": unit.mean(axis=(1, 2))}
    if images.shape[-1] == 3:
        red, green, blue = unit[..., 0], unit[..., 1], unit[..., 2]  # along an axis of three numpy is slow
        largest, smallest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
        found["saturation"] = ((largest - smallest) / np.maximum(largest, 1e-6)).mean(axis=1)
        amounts = -np.log(np.maximum(unit, 1 / 255)).mean(axis=1) @ unmixing()
        found |= {"haematoxylin": amounts[:, 0], "eosin": amounts[:, 1]}
    return found


def spread(count: int) -> NDArray[np.int64]:
    """Places of :data:`MOST` of ``count`` images, ascending; all where there are fewer."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST)).round().astype(np.int64))


def looks_csv(prepared: "Prepared") -> str:
    """A row for each sample that is looked at: its id, its site where sites are known, and what it looks like."""
    tables = []
    for part in PARTS:
        rows = prepared.rows[part]
        rows = rows[spread(len(rows))]
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            names = prepared.packed.frame["id"].iloc[some].to_numpy(dtype=object)
            tables.append(pd.DataFrame({"id": names, **appearance(prepared.packed.read(some)[0])}))
    found = pd.concat(tables)
    if prepared.site_of:
        frame = prepared.packed.frame.set_index("id")
        images = frame["parent"] if "parent" in frame else frame.index.to_series()
        found.insert(1, "site", found["id"].map(images).map(prepared.site_of))
    text = io.StringIO()
    found.to_csv(text, index=False, float_format="%.5g")
    return text.getvalue()
