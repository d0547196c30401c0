"""What each sample or group adds to a score of all samples, by leaving it out."""

from collections.abc import Sequence

import numpy as np

from preceptor.measures.arrays import Float64
from preceptor.measures.measure import AnyMeasure
from preceptor.measures.uncertainty import group_sums


def pseudo_values(measure: AnyMeasure, rows: Float64, groups: Sequence[object] | None = None) -> Float64:
    """(G,) values whose mean is the score and which vary as what the groups add to it; G is N without groups.

    Args:
        rows: (N, M) addends of each sample.

    Source: Tukey 1958; of a mean over equally large groups they are the groups' means.
    """
    of_groups = group_sums(rows, groups)
    total = of_groups.sum(axis=0, keepdims=True)
    count = len(of_groups)
    score = measure.finished(total)[0]
    if count < 2:
        return np.full(count, score)
    found: Float64 = count * score - (count - 1) * measure.finished(total - of_groups)
    return found
