"""A classifier that says the classes' frequencies before it has learned anything (studies/baseline_loop.yaml)."""

from collections.abc import Sequence
from typing import Any

import timm
import torch
from torch import nn


def log_prior(num_classes: int, *, architecture: str, counts: Sequence[int]) -> nn.Module:
    """A network of timm whose last bias begins at the logarithm of the classes' shares.

    Args:
        counts: of each class in the training part.
    """
    made: Any = timm.create_model(architecture, num_classes=num_classes)
    head = made.get_classifier()
    with torch.no_grad():
        head.bias.copy_(torch.tensor(counts, dtype=torch.float32).div(sum(counts)).log())
    network: nn.Module = made
    return network
