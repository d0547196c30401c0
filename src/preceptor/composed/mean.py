"""What several networks say on average."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from preceptor.composed.base import ComposedNetwork
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs


class MeanLogits(ComposedNetwork):
    """The mean of the sources' logits; it has no parameters, and no embedding besides its logits.

    Frozen in a cohort, it teaches what its sources say at the moment and sends no gradient back to them.
    """

    kind = "mean"

    def __init__(self, sources: Mapping[str, Network]) -> None:
        super().__init__(sources, dict.fromkeys(sources, ("logits",)))
        self.has_new_head = False

    def combine(self, outputs: Mapping[str, Outputs], targets: Tensor | None = None) -> Outputs:
        logits = torch.stack([outputs[name].logits.float() for name in self.inlets]).mean(dim=0)
        return Outputs(logits, logits)

    def options(self) -> dict[str, Any]:
        return {}
