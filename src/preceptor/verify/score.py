"""What a score is to whoever computes it anew."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from preceptor.verify.answers import Array, Said


@dataclass(frozen=True, slots=True)
class Score:
    """A score.

    Args:
        whole: its value for all samples.
        slack: by how much the seven digits of the predictions may have changed it.
        columns: (N, M) whose sums say it; None where it has no interval.
        of_sums: (B, M) -> (B,), NaN where a resample says nothing.
        is_mirrored: its interval is the basic one.
        is_share: is written in percent.
    """

    whole: Callable[[Said], float | None]
    slack: Callable[[Said], float] = lambda said: 0.0
    columns: Callable[[Said], Array] | None = None
    of_sums: Callable[[Array], Array] | None = None
    is_mirrored: bool = False
    is_share: bool = True


def first_by_second(sums: Array) -> Array:
    """(B,) the first column over the second: a mean where that counts samples."""
    return np.asarray(sums[:, 0] / np.maximum(sums[:, 1], 1e-12))
