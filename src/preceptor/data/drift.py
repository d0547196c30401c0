"""Whether the parts, the sites and the groups of a set look alike, before anything is trained on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from preceptor.measures.drift import Contrast, odd_groups, parts_against_training, sites_against_others


@dataclass(frozen=True)
class Drift:
    """How far images are apart, in standard deviations of single images.

    Args:
        looks: what is looked at, in the order of every contrast's numbers.
        images: how many were looked at.
        parts: validation and test against training.
        sites: each site against all others, where sites are known.
        groups: those that look unlike all others.
    """

    looks: tuple[str, ...]
    images: int
    parts: tuple[Contrast, ...]
    sites: tuple[Contrast, ...]
    groups: tuple[Contrast, ...]


def drift_of(
    frame: pd.DataFrame, appearances: Sequence[Mapping[str, float] | None], parts: "pd.Series[str] | None"
) -> Drift | None:
    """The drift of the images of ``frame`` that have an appearance; None where fewer than two have.

    Args:
        frame: of a sample table.
        appearances: of each row.
        parts: of rows by the index of ``frame``; None where there are none.
    """
    rows = [row for row, one in enumerate(appearances) if one is not None]
    if len(rows) < 2:
        return None
    every = pd.DataFrame([appearances[row] for row in rows])
    seen = frame.iloc[rows]
    numbers = every.to_numpy(dtype=np.float64)
    groups = seen["group"].tolist() if seen["group"].notna().all() else None
    placed = [] if parts is None else parts.reindex(seen.index).tolist()
    sites = [None] * len(seen) if "site" not in seen else seen["site"].astype(object).where(seen["site"].notna(), None)
    return Drift(
        looks=tuple(every.columns),
        images=len(rows),
        parts=tuple(parts_against_training(numbers, placed, groups)),
        sites=tuple(sites_against_others(numbers, list(sites), groups)),
        groups=() if groups is None else tuple(odd_groups(numbers, groups)),
    )
