"""Whether an exported model says what the network said, on real images and in batches of several sizes."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from preceptor.data.tiles import Logits
from preceptor.deploy.answers import decided
from preceptor.deploy.engines import Engine, in_batches
from preceptor.deploy.held_out import Sample
from preceptor.errors import UserError
from preceptor.measures.temperature import softmax

BATCHES = (1, 2, 7, 32)
LARGEST_GAP = 1e-4
LEAST_EQUAL = 0.9999
_OF_EACH = 32  # images asked again in batches of each other size


@dataclass(frozen=True, slots=True)
class Parity:
    """How far a model is from the network.

    Args:
        images: how many were compared.
        batches: sizes of the batches that were tried.
        largest_gap: of any class probability, between network and model.
        equal_pixels: share of the pixels that both give the same class; None for classes.
        note: of how the images were chosen.
    """

    images: int
    batches: tuple[int, ...]
    largest_gap: float
    equal_pixels: float | None
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the two are the same but for rounding."""
        return self.largest_gap <= LARGEST_GAP if self.equal_pixels is None else self.equal_pixels >= LEAST_EQUAL

    def to_json(self) -> dict[str, Any]:
        """For ``bundle.json``."""
        return asdict(self) | {"batches": list(self.batches)}

    def require(self, what: str) -> None:
        """Refuse a model that says something else.

        Raises:
            UserError: with the numbers.
        """
        if not self.holds:
            far = (
                f"a probability differs by {self.largest_gap:.1e}, {LARGEST_GAP:.0e} is allowed"
                if self.equal_pixels is None
                else f"{100 * self.equal_pixels:.3f} % of the pixels are equal, {100 * LEAST_EQUAL:.2f} % are wanted"
            )
            raise UserError(
                f"{what} does not say what the network says on {self.images} images: {far}; no bundle was made.\n"
                "Its architecture computes something that ONNX does otherwise; export another student."
            )


def parity_of(model: Engine, network: Engine, sample: Sample) -> Parity:
    """Compare ``model`` with ``network`` on all images, in the largest batch, and on some of them in the others."""
    pixels = list(sample.pixels)
    wanted = in_batches(network, pixels, BATCHES[-1])
    gaps, equal = [0.0], [1.0]
    for size in BATCHES:
        count = len(pixels) if size == BATCHES[-1] else min(len(pixels), _OF_EACH)
        said = in_batches(model, pixels[:count], size)
        for one, other in zip(said, wanted, strict=False):
            gaps.append(_gap(one, other))
            equal.append(float((decided(one) == decided(other)).mean()) if one.ndim == 3 else 1.0)
    is_map = wanted[0].ndim == 3
    share = float(np.mean(equal[1:])) if is_map else None
    return Parity(len(pixels), BATCHES, max(gaps), share, sample.note)


def _gap(one: Logits, other: Logits) -> float:
    return float(np.abs(probabilities(one) - probabilities(other)).max())


def probabilities(logits: Logits) -> np.ndarray:
    """Of each class (first axis); a single channel stands for the foreground beside a background of 0."""
    full = np.concatenate([np.zeros_like(logits), logits]) if logits.ndim == 3 and len(logits) == 1 else logits
    return softmax(full, axis=0)
