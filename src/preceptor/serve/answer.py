"""What the server says of an image: classes and probabilities, how certain, and pictures to look at."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from preceptor import __version__
from preceptor.data.samples import Pixels
from preceptor.deploy.bundle import Bundle, read_bundle
from preceptor.deploy.draw import overlay, seen
from preceptor.deploy.predictor import Predictor, Row, of_bundle
from preceptor.errors import UserError
from preceptor.measures.points import certainty
from preceptor.serve.limits import MOST_PIXELS

NAME = "image"
"""What an upload is called in messages: its own name is not asked for."""

_SIDE = 1024  # of a picture to look at


class Desk:
    """Answers on images that lie in memory, by one bundle.

    Raises:
        UserError: no bundle, or none that can be opened.
    """

    def __init__(self, folder: Path) -> None:
        self.bundle: Bundle = read_bundle(folder)
        self._predictor: Predictor = of_bundle(folder, is_calibrated=True, threads=1)
        self._palette = [tuple(one["colour"]) for one in self.bundle.facts["classes"]]

    @property
    def about(self) -> dict[str, Any]:
        """What answers, and how it decides."""
        points, ranges = self.bundle.points, self.bundle.ranges
        run: Mapping[str, Any] = self.bundle.facts.get("run") or {}
        classes = [
            {"name": name, "colour": colour}
            for name, colour in zip(self.bundle.contract.classes, self._palette, strict=True)
        ]
        return {
            "preceptor": __version__,
            "bundle": {"name": run.get("name") or "", "sha256": self.bundle.identity, "serves": self.bundle.serves},
            "task": self.bundle.contract.task,
            "classes": classes,
            "temperature": points.temperature,
            "threshold": points.threshold,
            "least_certainty": points.least,
            "guard": None if ranges is None else sorted(ranges.of),
        }

    def answer(self, image: bytes, *, with_pictures: bool) -> dict[str, Any]:
        """What is said of ``image``.

        Raises:
            UserError: it is damaged, too large, or no image; or there is no answer.
        """
        rows = self._predictor.rows_in(io.BytesIO(image), NAME, most=MOST_PIXELS)
        return {"answers": [self._said(row) for row in rows], **(self._pictures(rows) if with_pictures else {})}

    def _said(self, row: Row) -> dict[str, Any]:
        if row.answer is None:
            raise UserError(row.error)
        has_masks, shares = self.bundle.contract.has_masks, row.answer.shares
        found: dict[str, Any] = {
            "name": row.name,
            "label": row.answer.label or None,
            "shares" if has_masks else "probabilities": dict(zip(self.bundle.contract.classes, shares, strict=True)),
            "outside": list(row.outside),
        }
        if row.answer.mask is not None:
            grey = row.answer.mask * np.uint8(self.bundle.contract.grey_step)
            return found | {"mask": _png(grey), "size": list(row.answer.mask.shape)}
        sure = float(certainty(np.array([shares]), self.bundle.points.threshold)[0])
        return found | {"certainty": sure, "abstained": row.answer.abstained}

    def _pictures(self, rows: Sequence[Row]) -> dict[str, Any]:
        """The image, and where it has a mask that over it; none of an image that is classified in tiles."""
        row = rows[0]
        if row.pixels is None or row.answer is None or (self.bundle.contract.tile and row.answer.mask is None):
            return {}
        found = {"picture": _png(_small(seen(row.pixels)))}
        if row.answer.mask is not None:
            small = _small(row.pixels), _small(row.answer.mask)
            found["overlay"] = _png(overlay(*small, self._palette))
        return found


def _small(pixels: Pixels) -> Pixels:
    """Every n-th pixel, of what is larger than a screen."""
    step = -(-max(pixels.shape[:2]) // _SIDE)
    return pixels[::step, ::step]


def _png(pixels: Pixels) -> str:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")
