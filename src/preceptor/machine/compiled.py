"""Networks compiled by ``torch.compile``, for calling only."""

from typing import cast

import torch

from preceptor.networks.network import Network


def compiled(network: Network) -> Network:
    """``network`` as it is called in training steps: compiled, its weights shared.

    Each batch size is compiled once, when it first comes.
    """
    return cast(Network, torch.compile(network, dynamic=False))
