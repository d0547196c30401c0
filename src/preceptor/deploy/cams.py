"""Class-activation maps of single images, for networks of runs."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from preceptor.analysis.cam import cam_tap, grad_cam
from preceptor.data.augment import as_tensor, to_float
from preceptor.data.resize import to_image_size
from preceptor.deploy.engines import TorchEngine
from preceptor.deploy.pieces import pieces_of
from preceptor.deploy.predictor import Predictor, Row
from preceptor.errors import UserError
from preceptor.specs import ResizeRule

Warmth = NDArray[np.floating]
"""(H, W) from 0 to 1."""

Heat = Callable[[Row], Warmth]


def heat_maker(predictor: Predictor) -> Heat:
    """Grad-CAM (H, W) from 0 to 1 of a row's own class, at the size of its image.

    Raises:
        UserError: there is none for this network.
    """
    engine, contract = predictor.engine, predictor.contract
    if not isinstance(engine, TorchEngine) or contract.has_masks:
        what = "network answers with masks" if contract.has_masks else "is for runs, and not together with --tta"
        raise UserError(f"--cam: {'this ' if contract.has_masks else ''}{what}; leave it out")
    network = engine.network
    tap = cam_tap(network)
    if tap is None or _seen(engine, tap, torch.zeros(1, contract.reading.channels, *contract.image_size), 0) is None:
        raise UserError("--cam: this network has no map from which its logits come and that shows places; leave it out")

    def made(row: Row) -> Warmth:
        assert row.answer is not None
        assert row.pixels is not None
        (seen,) = pieces_of(row.name, row.pixels, contract).pixels[:1]
        found = _seen(engine, tap, to_float(as_tensor(seen[None].copy())), contract.classes.index(row.answer.label))
        assert found is not None
        return _at_size(found, row.pixels.shape[:2], contract.image_size, contract.resize)

    return made


def _seen(engine: TorchEngine, tap: str, images: torch.Tensor, label: int) -> Warmth | None:
    found = grad_cam(engine.network, images.to(engine.device), torch.tensor([label], device=engine.device), tap)
    return None if found is None else found[0].cpu().numpy()


def _at_size(warmth: Warmth, size: tuple[int, ...], fitted: tuple[int, int], rule: ResizeRule) -> Warmth:
    """A map of what the network saw at the size of the image; what was cut off is cold."""
    grey = np.rint(255 * warmth).astype(np.uint8)
    if grey.shape == size:
        return warmth
    if rule == "squash":
        return np.asarray(Image.fromarray(grey).resize((size[1], size[0]), Image.Resampling.BILINEAR)) / 255
    return to_image_size(grey, (size[0], size[1]), rule) / 255
