"""Outlines of masks: measured on whole images, in microns where their files say how large a pixel is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.data.prepare import Prepared
from preceptor.measures.arrays import Float64
from preceptor.measures.surface import SURFACES, surface_scores

PIXELS, MICRONS = "px", "µm"


@dataclass(frozen=True, slots=True)
class Outlines:
    """How outlines are measured on a part of the data.

    Args:
        classes: how many there are, background among them.
        pixel: image -> side of its pixels in microns; empty where distances are in pixels.
        tolerance: of the surface Dice, in the unit of distances.
    """

    classes: int
    pixel: Mapping[str, float]
    tolerance: float

    @classmethod
    def of(cls, prepared: Prepared, part: str, tolerance: float) -> "Outlines":
        """In microns where masks are scored at the size of their files, and each file of the part says its own."""
        frame = prepared.packed.frame
        pixel: dict[str, float] = {}
        if "parent" in frame:
            names = dict.fromkeys(frame["parent"].iloc[prepared.rows[part]].tolist())
            found = {str(name): prepared.stored.microns(str(name)) for name in names}
            known = {name: microns for name, microns in found.items() if microns is not None}
            pixel = known if len(known) == len(found) else {}
        return cls(len(prepared.packed.classes), pixel, tolerance)

    @property
    def unit(self) -> str:
        """Of distances."""
        return MICRONS if self.pixel else PIXELS

    def scores(self, name: str, predicted: NDArray[np.int64], target: NDArray[np.int64]) -> Float64:
        """(K, 2) of the masks (H, W) of the image ``name``."""
        side = self.pixel.get(name, 1.0)
        return surface_scores(predicted, target, classes=self.classes, pixel=side, tolerance=self.tolerance)

    def table(self, ids: Sequence[str], surfaces: Mapping[str, Float64]) -> pd.DataFrame:
        """A row for each network, class and image: (N, K, 2) by network."""
        frames = [
            pd.DataFrame(dict(zip(SURFACES, found[:, place].T, strict=True))).assign(
                id=ids, network=network, **{"class": place + 1}
            )
            for network, found in surfaces.items()
            for place in range(found.shape[1])
        ]
        whole = pd.concat(frames, ignore_index=True).assign(unit=self.unit, tolerance=self.tolerance)
        return whole[["id", "network", "class", *SURFACES, "unit", "tolerance"]]
