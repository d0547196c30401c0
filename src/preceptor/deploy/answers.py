"""From logits to what is said of an image: class, probabilities, mask."""

from dataclasses import dataclass

import numpy as np

from preceptor.data.samples import Pixels
from preceptor.data.tiles import Logits
from preceptor.deploy.contract import Contract
from preceptor.deploy.points import Points
from preceptor.measures.points import certainty, decided_classes
from preceptor.measures.temperature import softmax


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of an image, or of a tile of one that is classified.

    Args:
        label: name of the class; empty for a mask.
        shares: of each class its probability; for a mask the share of the image that it covers.
        mask: (H, W) class values at the image's own size; None for a class.
        abstained: it is not certain enough to be relied on.
    """

    label: str
    shares: tuple[float, ...]
    mask: Pixels | None = None
    abstained: bool = False


def class_answer(logits: Logits, contract: Contract, points: Points, *, is_calibrated: bool) -> Answer:
    """Of the logits (C,) of an image.

    Args:
        is_calibrated: give the probabilities by which it is decided, instead of those that the network itself says.
    """
    calibrated = softmax(logits[None] / points.temperature, axis=1)
    label = int(decided_classes(calibrated, points.threshold)[0])
    is_sure = points.least is None or bool(certainty(calibrated, points.threshold)[0] >= points.least)
    said = calibrated[0] if is_calibrated else softmax(logits, axis=0)
    return Answer(contract.classes[label], tuple(said.tolist()), abstained=not is_sure)


def decided(logits: Logits) -> Pixels:
    """(H, W) class values from (C, H, W) logits; one channel is that of the foreground."""
    mask: Pixels = (logits[0] > 0 if len(logits) == 1 else logits.argmax(axis=0)).astype(np.uint8)
    return mask


def mask_answer(mask: Pixels, contract: Contract) -> Answer:
    """Of a mask at the image's own size."""
    counts = np.bincount(mask.ravel(), minlength=len(contract.classes))
    return Answer("", tuple((counts / mask.size).tolist()), mask)
