"""Several networks as one.

The published rule (Niyaz et al., *Computers in Biology and Medicine*) takes the largest probability of
each class over the networks, and for masks the union. Two networks and two classes decide alike
by maximum and by mean; more of either may not.
"""

from collections.abc import Sequence

import numpy as np

from preceptor.measures.arrays import Float64, Floats, Int64, Integers


def maximum(members: Sequence[Floats], *, renormalise: bool = True) -> Float64:
    """Largest probability of each class over the members, (N, C), summing to 1 unless told not to.

    Renormalising keeps the decision (the argmax) and makes AUROC and ECE meaningful. Ties go to the lower class.

    Shapes:
        members: K arrays of probabilities (N, C) or (N, C, H, W)
    """
    highest: Float64 = np.maximum.reduce([np.asarray(member, dtype=np.float64) for member in members])
    return highest / highest.sum(axis=1, keepdims=True) if renormalise else highest


def mean(members: Sequence[Floats]) -> Float64:
    """Mean probability of each class over the members, in their shape."""
    average: Float64 = np.mean([np.asarray(member, dtype=np.float64) for member in members], axis=0)
    return average


def union(masks: Sequence[Integers]) -> Int64:
    """Foreground wherever a member sees it, for masks of 0 and 1: it never lowers recall."""
    anywhere: Int64 = np.any(list(masks), axis=0).astype(np.int64)
    return anywhere


def merged_masks(members: Sequence[Floats]) -> Int64:
    """Class of each pixel by the largest probability that any member gives to any class, (N, H, W).

    For several foreground classes, where a union of masks is ambiguous.

    Shapes:
        members: K arrays of probabilities (N, C, H, W)
    """
    classes: Int64 = maximum(members, renormalise=False).argmax(axis=1)
    return classes
