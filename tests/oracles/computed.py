"""What an adapter of one oracle method returns."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Computed:
    """Our numbers for one case.

    Args:
        loss: (), connected to the case's input tensors.
        terms, outputs: named parts and small tensors, by the names that the case gives them.
    """

    loss: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
