"""What a network costs to use: parameters, multiply-adds, size."""

from dataclasses import dataclass

from torch.utils.flop_counter import FlopCounterMode

from preceptor.networks.network import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of the inference graph.

    Args:
        parameters: number of learnable values.
        multiply_adds: of one image at the network's image size; convolutions, matrix products and attention.
        size: bytes of parameters and buffers, as saved.
    """

    parameters: int
    multiply_adds: int
    size: int


def cost_of(network: Network) -> Cost:
    """Measured on one image; the network's mode stays as it was. Floating-point operations count as two."""
    with FlopCounterMode(display=False) as counter:
        network.glance()
    return Cost(
        parameters=network.parameters_count(),
        multiply_adds=counter.get_total_flops() // 2,
        size=sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values()),
    )
