"""Logistic regression and nearest neighbours on embeddings, in numpy and scipy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preceptor.measures.temperature import softmax

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LinearHead:
    """Logits ``embeddings @ weight.T + bias``.

    Args:
        weight: (classes, width).
        bias: (classes,).
        strength: C.
        has_converged: whether the optimum was reached.
    """

    weight: Array
    bias: Array
    strength: float
    has_converged: bool = True

    def probabilities(self, embeddings: Array) -> Array:
        """(n, classes)."""
        found: Array = softmax(embeddings @ self.weight.T + self.bias, axis=1)
        return found


def logistic_heads(embeddings: Array, labels: Labels, classes: int, strengths: Sequence[float]) -> list[LinearHead]:
    r"""The head of each C that minimises

    .. math:: \frac{1}{2} \lVert W \rVert^2 + C \sum_n -\log \mathrm{softmax}(W z_n + b)_{y_n}

    over embeddings z that are standardised per dimension, which is folded into the weights; dimensions that do not
    vary are left out. Each optimum starts from that of the next smaller C.
    """
    from scipy.optimize import minimize

    centre, scale = embeddings.mean(axis=0), embeddings.std(axis=0)
    scale = np.where(scale > 1e-6 * max(float(scale.max()), 1e-30), scale, np.inf)
    features = (embeddings - centre) / scale
    count, width = features.shape
    wanted = np.zeros((count, classes))
    wanted[np.arange(count), labels] = 1
    at = np.zeros(classes * (width + 1))
    heads = {}

    def loss(flat: Array, strength: float) -> tuple[float, Array]:
        weight, bias = flat[: classes * width].reshape(classes, width), flat[classes * width :]
        logits = features @ weight.T + bias
        top = logits.max(axis=1, keepdims=True)
        shares = np.exp(logits - top)
        total = shares.sum(axis=1, keepdims=True)
        losses = (np.log(total) + top)[:, 0] - logits[np.arange(count), labels]
        gap = (shares / total - wanted) / count
        penalty = weight / (strength * count)
        value = losses.mean() + 0.5 * float((weight * penalty).sum())
        return value, np.concatenate([(gap.T @ features + penalty).ravel(), gap.sum(axis=0)])

    for strength in sorted(strengths):
        found = minimize(
            loss, at, (strength,), method="L-BFGS-B", jac=True, options={"maxiter": 2000, "gtol": 1e-6, "ftol": 1e-12}
        )
        at = found.x
        weight = at[: classes * width].reshape(classes, width) / scale
        bias = at[classes * width :] - weight @ centre
        heads[strength] = LinearHead(weight, bias, strength, bool(found.success))
    return [heads[strength] for strength in strengths]
