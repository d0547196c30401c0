"""Double similarity distillation: how attention changes between stages, and how classes overlap in space."""

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.ignored import KnownIn, all_known, mean_of_known, silenced, without_ignored
from preceptor.knowledge.maps import attention_map, unit
from preceptor.knowledge.mask.maps import (
    check_logits_and_maps,
    require_above_zero,
    require_not_negative,
    resized_like,
)
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def residual_attention(maps: Sequence[Tensor], known_in: KnownIn = all_known) -> Tensor:
    r"""Normalised differences of the attention maps of every two stages.

    .. math:: r_{mn} = \frac{a_m - a_n}{\|a_m - a_n\|}, \quad a_k = \frac{\bar{F_k^2}}{\|\bar{F_k^2}\|}, \quad n < m

    Attention maps are resized to the smallest before the differences. Where two do not differ (beyond
    rounding) their residual is 0, and so it is at positions that do not count.

    Shapes:
        maps: K times (N, C_k, H_k, W_k)
        known_in: map -> (N, H, W), True where a position counts; None counts all
        returns: (K (K - 1) / 2, N, P), P the positions of the smallest map
    """
    smallest = smallest_of(maps)
    attention = [unit(_attention_like(one, smallest, known_in)) for one in maps]
    return torch.stack([unit(_beyond_rounding(later - earlier)) for earlier, later in combinations(attention, 2)])


def _beyond_rounding(gaps: Tensor) -> Tensor:
    """Differences of unit vectors, 0 where they are so small that they may be rounding."""
    norm: Tensor = torch.linalg.vector_norm(gaps.detach(), dim=1, keepdim=True)
    return gaps.where(norm > 64 * torch.finfo(gaps.dtype).eps, 0.0)


def smallest_of(maps: Sequence[Tensor]) -> Tensor:
    """The map with the fewest positions."""
    return min(maps, key=lambda one: one.shape[-2] * one.shape[-1])


def _attention_like(maps: Tensor, like: Tensor, known_in: KnownIn) -> Tensor:
    attention = attention_map(silenced(maps, known_in(maps)), exponent=2).view(len(maps), 1, *maps.shape[-2:])
    return silenced(resized_like(attention, like), known_in(like)).flatten(1)


def pixel_similarity_distance(
    student: Sequence[Tensor], teacher: Sequence[Tensor], known_in: KnownIn = all_known
) -> Tensor:
    r"""PSD: mean squared difference of the residuals, averaged over pairs of stages, images and positions.

    .. math:: \frac{2}{K (K - 1)} \sum_{n < m} \frac{1}{N P} \|r^s_{mn} - r^t_{mn}\|^2

    Shapes:
        student, teacher: K times (N, C_k, H_k, W_k); channels may differ, sizes are made to agree
        known_in: map -> (N, H, W), True where a position counts; None counts all
        returns: ()
    """
    student = [resized_like(one, like) for one, like in zip(student, teacher, strict=True)]
    of_student, of_teacher = residual_attention(student, known_in), residual_attention(teacher, known_in)
    known = known_in(smallest_of(teacher))
    if known is None:
        return F.mse_loss(of_student, of_teacher)
    return mean_of_known((of_student - of_teacher).square().mean(dim=0).view(known.shape), known)


def class_similarity_distance(
    student: Tensor, teacher: Tensor, *, temperature: float, known: Tensor | None = None
) -> Tensor:
    r"""CSD: mean squared difference of how the classes' distributions over positions overlap.

    .. math:: \frac{1}{N C^2} \|P^s P^{s\top} - P^t P^{t\top}\|^2

    with P the softmax over positions, at temperature T, of logits pooled in 2x2 blocks, over the pixels that count;
    a block without any is no position.

    Shapes:
        student, teacher: (N, C, H, W)
        known: (N, H, W), True where a pixel counts; None counts all
        returns: ()
    """
    return F.mse_loss(_class_overlap(student, temperature, known), _class_overlap(teacher, temperature, known))


def _class_overlap(logits: Tensor, temperature: float, known: Tensor | None) -> Tensor:
    pooled = F.avg_pool2d(silenced(logits, known), kernel_size=2, ceil_mode=True)
    if known is not None:
        share = F.avg_pool2d(known[:, None].to(logits.dtype), kernel_size=2, ceil_mode=True)
        pooled = without_ignored(pooled / share.where(share > 0, 1.0), share[:, 0] > 0)
    places = F.softmax(pooled.flatten(2) / temperature, dim=2)  # (N, C, P)
    return places @ places.mT


class DSDLoss(Loss):
    """Match how attention changes between stages and how classes overlap in space (double similarity distillation).

    The sum of :func:`pixel_similarity_distance` (PSD) over the feature maps and :func:`class_similarity_distance`
    (CSD) of the logits, each with its weight. Its taps are ``logits``, then two or more feature maps.

    Args:
        psd_weight, csd_weight: of the two parts.
        temperature: softening T > 0 over positions, of the second part.

    Source: Feng et al. 2021, arXiv:2107.08591, as re-implemented by Yang et al. 2022 (CIRKD); no official code.
    Differs: the feature maps are the first and the last of the decoder; a single foreground channel is
    compared as it is, not as two classes.
    """

    key: ClassVar[str] = "dsd"
    settings: ClassVar[dict[Task, Setting]] = {
        "segmentation": Setting(weight=1.0, student_tap=("logits", "decoder1", "decoder"))
    }

    def __init__(self, psd_weight: float = 1000.0, csd_weight: float = 10.0, temperature: float = 4.0) -> None:
        super().__init__()
        require_not_negative(self.key, psd_weight=psd_weight, csd_weight=csd_weight)
        require_above_zero(self.key, temperature=temperature)
        self.psd_weight, self.csd_weight, self.temperature = psd_weight, csd_weight, temperature

    def build(self, probe: Probe) -> None:
        """Check the taps."""
        check_logits_and_maps(probe, self.key, least=2, example="[logits, decoder1, decoder]")

    def forward(self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...], targets: Tensor) -> Tensor:
        """Logits and feature maps of both -> (); see the class."""
        student_logits, *student_maps = student
        teacher_logits, *teacher_maps = teacher
        student_logits = resized_like(student_logits, teacher_logits)
        pixels = pixel_similarity_distance(student_maps, teacher_maps, partial(self.known, targets))
        known = self.known(targets, teacher_logits)
        classes = class_similarity_distance(student_logits, teacher_logits, temperature=self.temperature, known=known)
        return self.psd_weight * pixels + self.csd_weight * classes
