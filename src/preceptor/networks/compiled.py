"""Networks compiled by ``torch.compile``, for calling only."""

from typing import cast

import torch

from preceptor.networks.network import Network


def compiled(network: Network) -> Network:
    """``network`` as it is called in training steps: compiled, its weights shared; on a GPU replayed as a CUDA graph.

    Each batch size is compiled once, when it first comes. Whoever calls it on a GPU marks where a step begins
    (``torch.compiler.cudagraph_mark_step_begin``).
    """
    mode = "reduce-overhead" if network.mean.device.type == "cuda" else None
    return cast(Network, torch.compile(network, dynamic=False, mode=mode))
