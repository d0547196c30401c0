"""From logits to what is said of an image: class, probabilities, mask."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preceptor.data.samples import Pixels
from preceptor.deploy.contract import Contract
from preceptor.deploy.pieces import Logits

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of an image, or of a tile of one that is classified.

    Args:
        label: name of the class; empty for a mask.
        shares: of each class its probability; for a mask the share of the image that it covers.
        mask: (H, W) class values at the image's own size; None for a class.
    """

    label: str
    shares: tuple[float, ...]
    mask: Pixels | None = None


def softmax(logits: NDArray[np.floating], axis: int) -> Floats:
    """Probabilities in float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=axis, keepdims=True))
    probabilities: Floats = powers / powers.sum(axis=axis, keepdims=True)
    return probabilities


def class_answer(probabilities: Floats, contract: Contract) -> Answer:
    """Of the class probabilities (C,)."""
    return Answer(contract.classes[int(probabilities.argmax())], tuple(probabilities.tolist()))


def decided(logits: Logits) -> Pixels:
    """(H, W) class values from (C, H, W) logits; one channel is that of the foreground."""
    mask: Pixels = (logits[0] > 0 if len(logits) == 1 else logits.argmax(axis=0)).astype(np.uint8)
    return mask


def mask_answer(mask: Pixels, contract: Contract) -> Answer:
    """Of a mask at the image's own size."""
    counts = np.bincount(mask.ravel(), minlength=len(contract.classes))
    return Answer("", tuple((counts / mask.size).tolist()), mask)
