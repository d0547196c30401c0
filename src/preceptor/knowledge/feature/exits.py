"""Self-distillation with exits: shallow exits of a network learn from its last one (the parts of the loss)."""

import torch
from torch import Tensor


def active_feature_distance(exit_features: Tensor, last_features: Tensor) -> Tensor:
    r"""Squared distance where either feature is active, summed over everything, the batch too.

    .. math:: \sum (f_i - f)^2 \, [f_i > 0 \text{ or } f > 0]

    The sum grows with the batch; divide by N for a loss that does not. Does not detach.

    Shapes:
        exit_features, last_features: (N, D)
        returns: ()

    Source: Zhang et al. 2019, arXiv:1905.08094, as a public re-implementation has it.
    """
    active = (exit_features > 0) | (last_features > 0)
    return torch.where(active, (exit_features - last_features).square(), 0.0).sum()
