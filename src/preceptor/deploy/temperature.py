"""The temperature at which probabilities are best calibrated."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from preceptor.deploy.answers import softmax

_RANGE = (np.log(0.05), np.log(20.0))


def fitted_temperature(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    r"""T that minimises the mean of :math:`-\log \mathrm{softmax}(z / T)_y`, from 0.05 to 20.

    Shapes:
        logits: (N, C); labels: (N,)

    Source: Guo et al. 2017, arXiv:1706.04599, section 4.2.
    """

    def loss(logarithm: float) -> float:
        chances = softmax(logits / np.exp(logarithm), axis=1)[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(chances, 1e-300)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=_RANGE, method="bounded").x))
