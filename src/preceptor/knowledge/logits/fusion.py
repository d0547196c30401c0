"""Feature fusion learning: a classifier on the fused maps of two networks learns with them, and teaches them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from preceptor.knowledge.blocks import AdapterNorm
from preceptor.knowledge.logits.soft_target import soft_target_kl
from preceptor.knowledge.maps import spatial_mean, to_common_size


class FusionBlock(nn.Module):
    """Mixes two maps: concatenation, depthwise 3x3, pointwise 1x1, each with batch normalisation and ReLU.

    Shapes:
        (N, C, H, W) and (N, C', H', W') to (N, outputs, H, W); the larger map is average-pooled

    Source: Kim et al. 2020, arXiv:1904.09058
    """

    def __init__(self, first: int, second: int, outputs: int) -> None:
        super().__init__()
        channels = first + second
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            AdapterNorm(channels),
            nn.ReLU(),
            nn.Conv2d(channels, outputs, 1, bias=False),
            AdapterNorm(outputs),
            nn.ReLU(),
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        fused: Tensor = self.layers(torch.cat(to_common_size(first, second), dim=1))
        return fused


class FusionHead(nn.Module):
    """:class:`FusionBlock`, global average pooling and a linear classifier: two maps to (N, C) logits."""

    def __init__(self, first: int, second: int, outputs: int, classes: int) -> None:
        super().__init__()
        self.block = FusionBlock(first, second, outputs)
        self.classifier = nn.Linear(outputs, classes)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        logits: Tensor = self.classifier(spatial_mean(self.block(first, second)))
        return logits


@dataclass(frozen=True, slots=True)
class FusionTerms:
    """What two networks and their fused classifier teach each other.

    Args:
        fused_to_first, fused_to_second: KL(fused || network), the fused classifier constant.
        ensemble_to_fused: KL(mean logits || fused), the mean constant.
    """

    fused_to_first: Tensor
    fused_to_second: Tensor
    ensemble_to_fused: Tensor

    @property
    def total(self) -> Tensor:
        """The sum of the three."""
        return self.fused_to_first + self.fused_to_second + self.ensemble_to_fused


def fusion_terms(first: Tensor, second: Tensor, fused: Tensor, *, temperature: float = 3.0) -> FusionTerms:
    """The distillation terms of feature fusion learning; every target is detached, as in its code.

    Shapes:
        first, second, fused: (N, C) logits

    Source: Kim et al. 2020, arXiv:1904.09058.
    Differs: the code adds 1e-7 to the target probabilities; log space needs no such guard.
    """
    ensemble = ((first + second) / 2).detach()
    return FusionTerms(
        fused_to_first=soft_target_kl(first, fused.detach(), temperature=temperature),
        fused_to_second=soft_target_kl(second, fused.detach(), temperature=temperature),
        ensemble_to_fused=soft_target_kl(fused, ensemble, temperature=temperature),
    )
