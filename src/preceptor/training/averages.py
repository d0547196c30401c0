"""Averages of weights over the steps of training."""

from copy import deepcopy
from typing import Any, cast

import torch
from torch import Tensor, nn

from preceptor.networks.network import Network


class Averages:
    """Exponential moving averages of the learners; buffers such as BatchNorm statistics are copied."""

    def __init__(self, learners: nn.ModuleDict, decay: float) -> None:
        self.decay = decay
        self.copies = deepcopy(learners).requires_grad_(False).eval()

    @property
    def networks(self) -> dict[str, Network]:
        return cast(dict[str, Network], dict(self.copies.items()))

    @torch.no_grad()
    def update(self, learners: nn.ModuleDict) -> None:
        for average, current in zip(self.copies.parameters(), learners.parameters(), strict=True):
            average.lerp_(current, 1.0 - self.decay)
        for kept, latest in zip(self.copies.buffers(), learners.buffers(), strict=True):
            kept.copy_(latest)

    def state_dict(self) -> dict[str, Tensor]:
        return self.copies.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.copies.load_state_dict(state)
