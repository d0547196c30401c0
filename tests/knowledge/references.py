"""Published forms of what the package computes otherwise, to compare it with: by their formulas, of its parts."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.composed.fused import FusionBlock
from preceptor.knowledge.base import class_logits
from preceptor.knowledge.logits.soft_target import soft_target_kl
from preceptor.knowledge.maps import spatial_mean


def weighted_kl(student_logits: Tensor, logits: Tensor, weights: Tensor, *, temperature: float) -> Tensor:
    """Mean over samples of the weighted sum of KL(teacher k || student), times T².

    Its gradient is that of the KL divergence from :func:`integrated_logits`; its value is larger by the teachers'
    disagreement.

    Shapes:
        student_logits: (N, C); logits: (K, N, C); weights: (K, N)
        returns: ()

    Source: Zhang et al. 2022, arXiv:2201.00007
    """
    log_student = F.log_softmax(student_logits / temperature, dim=1).expand_as(logits)
    log_teachers = F.log_softmax(logits / temperature, dim=2)
    kl = F.kl_div(log_student, log_teachers, reduction="none", log_target=True).sum(dim=2)
    return temperature**2 * (weights * kl).sum(dim=0).mean()


def weighted_feature_error(projected: Sequence[Tensor], teachers: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Mean over samples of the weighted sum of each teacher's mean squared error.

    Shapes:
        projected, teachers: K maps (N, C, H, W) each, pairwise of one shape; weights: (K, N)
        returns: ()

    Source: Zhang et al. 2022, arXiv:2201.00007
    """
    pairs = zip(projected, teachers, strict=True)
    errors = torch.stack([(mine - theirs).square().flatten(1).mean(dim=1) for mine, theirs in pairs])
    return (weights * errors).sum(dim=0).mean()


def soft_target_cross_entropy(student_logits: Tensor, teacher_logits: Tensor, *, temperature: float) -> Tensor:
    """Cross entropy with the teacher's softened distribution, times T²: :func:`soft_target_kl` plus its entropy.

    Shapes:
        as :func:`soft_target_kl`

    Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531; the form of Zhang et al. 2019, arXiv:1905.08094.
    """
    log_student = F.log_softmax(class_logits(student_logits) / temperature, dim=1)
    soft_targets = (class_logits(teacher_logits) / temperature).softmax(dim=1)
    return -(temperature**2) * (soft_targets * log_student).sum(dim=1).mean()


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
