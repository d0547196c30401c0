"""Is one network good enough in the place of another: not worse by more than a margin, on the same samples?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from preceptor.groupings import units_of
from preceptor.measures.measure import AnyMeasure
from preceptor.measures.uncertainty import Interval, Resampler, percentile_interval

MARGIN = 0.02


def paired_gap(measure: AnyMeasure, first: Any, second: Any, groups: Sequence[object] | None = None) -> Interval:
    """Score of the first minus that of the second, with its paired 95 % interval.

    Args:
        first, second: answers of two networks on the same samples.
        groups: (N,) patient, lesion or slide, which are drawn as a whole.

    Raises:
        ValueError: the measure is not one that adds up over samples.
    """
    if measure.addends is None:
        raise ValueError(f"{measure.label} does not add up over samples")
    columns = [measure.rows(answers) for answers in (first, second)]
    resampler = Resampler(len(columns[0]), groups=groups)
    total, drawn = resampler.sums(np.concatenate(columns, axis=1))
    width = columns[0].shape[1]
    gap = float((measure.finished(total[:, :width]) - measure.finished(total[:, width:]))[0])
    again = measure.resampled(drawn[:, :width]) - measure.resampled(drawn[:, width:])
    return percentile_interval(gap, again[~np.isnan(again)], resampler.units)


def words_on(first: str, second: str, metric: str, gap: Interval, margin: float, drawn: str) -> str:
    """Whether the first may take the place of the second, in a sentence.

    Args:
        metric: of which higher is better.
        gap: first minus second.
        margin: what it may be worse, as a share.
        drawn: what the interval was drawn over, such as ``patients``.
    """
    evidence = (
        f"{metric} {100 * gap.value:+.2f} points (95 % interval {100 * gap.low:+.2f} to {100 * gap.high:+.2f}, over "
        f"{gap.units:,} {drawn})"
    )
    points = f"{100 * margin:g} points"
    if gap.low > -margin:
        more = ", and it is better" if gap.low > 0 else ""
        return f"{first} is not worse than {second} by more than {points}{more}: {evidence}."
    if gap.high < -margin:
        return f"{first} is worse than {second} by more than {points}: {evidence}."
    return f"Whether {first} is worse than {second} by more than {points} is not known: {evidence}."


def drawn_over(groups: Sequence[object] | None, grouping: str | None) -> str:
    """What an interval was drawn over, in words: images, or whole groups by the name that they have."""
    return "images" if groups is None else units_of(grouping)
