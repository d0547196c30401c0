"""Which of a model's intermediate maps are its stages."""

from collections.abc import Sequence

from torch import Tensor

STAGES = 4


def stage_indices(reductions: Sequence[int]) -> list[int]:
    """Positions of the (at most four) stage maps among maps with these reductions of the image size.

    The last map of each of the last four distinct reductions; where all are equal, as in a plain
    vision transformer, four evenly spaced maps ending at the last.
    """
    last_of = {reduction: position for position, reduction in enumerate(reductions)}
    if len(last_of) > 1:
        return sorted(last_of.values())[-STAGES:]
    count = len(reductions)
    return sorted({-(-part * count // STAGES) - 1 for part in range(1, STAGES + 1)} if count else set())


def mean_over_positions(feature_map: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C), the mean over positions."""
    return feature_map.mean(dim=(2, 3))
