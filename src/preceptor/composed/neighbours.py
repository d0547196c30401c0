"""The nearest images of the training part vote."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from preceptor.composed.base import ComposedNetwork
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs


class Neighbours(ComposedNetwork):
    """Votes of the training images whose embeddings have the largest cosine with an image's own, each with the weight
    exp(cosine / temperature). Its logits are the logarithms of the shares.

    It is scored and never saved: its memory is the training images themselves.

    Args:
        bank: (n, width) embeddings of the training images, and their ``labels`` (n,).
        neighbours: how many vote; all where there are fewer.
    """

    kind = "neighbours"

    def __init__(
        self, sources: Mapping[str, Network], *, bank: Tensor, labels: Tensor, neighbours: int, temperature: float
    ) -> None:
        super().__init__(sources, dict.fromkeys(sources, ("embedding",)))
        self.neighbours, self.temperature = min(neighbours, len(labels)), temperature
        self.register_buffer("bank", F.normalize(bank.double(), dim=1), persistent=False)
        self.register_buffer("votes", F.one_hot(labels, len(self.blueprint.classes)).double(), persistent=False)

    def combine(self, outputs: Mapping[str, Outputs], targets: Tensor | None = None) -> Outputs:
        (name,) = self.inlets
        embedding = outputs[name].embedding
        bank, votes = self.get_buffer("bank"), self.get_buffer("votes")
        cosines, nearest = (F.normalize(embedding.double(), dim=1) @ bank.T).topk(self.neighbours, dim=1)
        weights = (cosines / self.temperature).softmax(dim=1)
        shares = (weights[:, :, None] * votes[nearest]).sum(dim=1)
        return Outputs(shares.clamp_min(1e-6).log(), embedding)

    def options(self) -> dict[str, Any]:
        return {"neighbours": self.neighbours, "temperature": self.temperature}
