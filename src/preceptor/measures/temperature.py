"""The temperature at which probabilities are best calibrated."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from preceptor.measures.arrays import Float64, Int64

_RANGE = (np.log(0.05), np.log(20.0))


def softmax(logits: NDArray[np.floating[Any]], axis: int) -> Float64:
    """Probabilities in float64."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=axis, keepdims=True))
    probabilities: Float64 = powers / powers.sum(axis=axis, keepdims=True)
    return probabilities


def fitted_temperature(logits: NDArray[np.floating[Any]], labels: Int64) -> float:
    r"""T that minimises the mean of :math:`-\log \mathrm{softmax}(z / T)_y`, from 0.05 to 20.

    Shapes:
        logits: (N, C); labels: (N,)

    Source: Guo et al. 2017, arXiv:1706.04599, section 4.2.
    """
    from scipy.optimize import minimize_scalar

    wide = logits.astype(np.float64)
    largest = wide.max(axis=1)
    true = np.arange(len(labels)) * wide.shape[1] + labels  # places of the true classes' powers, row after row

    def loss(logarithm: float) -> float:
        temperature = np.exp(logarithm)
        powers = np.exp(wide / temperature - (largest / temperature)[:, None])
        chances = powers.take(true) / powers.sum(axis=1)
        return float(-np.log(np.maximum(chances, 1e-300)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=_RANGE, method="bounded").x))
