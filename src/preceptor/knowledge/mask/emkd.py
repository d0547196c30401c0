"""Efficient medical knowledge distillation: predictions, importance maps and region affinity."""

from typing import ClassVar

import torch
from torch import Tensor

from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.ignored import silenced
from preceptor.knowledge.logits.soft_target import soft_target_kl
from preceptor.knowledge.maps import attention_map, unit
from preceptor.knowledge.mask.maps import (
    check_logits_and_maps,
    require_above_zero,
    require_not_negative,
    resized_labels,
    resized_like,
)
from preceptor.knowledge.setting import Setting
from preceptor.specs import IGNORED, Task


def importance_distance(student: Tensor, teacher: Tensor, *, exponent: int = 4, known: Tensor | None = None) -> Tensor:
    r"""IMD: squared difference of importance maps, summed over positions, averaged over the batch.

    .. math:: \frac{1}{N} \sum_{n,i} (Q^s_{ni} - Q^t_{ni})^2, \quad Q = \frac{\bar{F^4}}{\|\bar{F^4}\|}

    with the mean over channels, and 0 where a position does not count; the student's map is resized to the teacher's
    size first.

    Shapes:
        student: (N, C_s, H_s, W_s)
        teacher: (N, C_t, H, W)
        known: (N, H, W), True where a position counts; None counts all
        returns: ()
    """
    student_map = attention_map(silenced(resized_like(student, teacher), known), exponent=exponent)
    return (student_map - attention_map(silenced(teacher, known), exponent=exponent)).square().sum(dim=1).mean()


def region_affinity(features: Tensor, targets: Tensor) -> Tensor:
    r"""Cosine between the mean vector of the background and that of the foreground, in each image.

    .. math:: \cos\left(\frac{\sum_i [y_i = 0] f_i}{\max(\sum_i [y_i = 0], 1)},
              \frac{\sum_i [y_i > 0] f_i}{\sum_i [y_i > 0] + 1}\right)

    0 where an image has but one of the two regions. Ignored pixels are in neither.

    Shapes:
        features: (N, C, H, W)
        targets: (N, H', W') int64, resized to the features by taking the nearest label
        returns: (N,)
    """
    labels = resized_labels(targets, features).flatten(1)
    regions = torch.stack([labels == 0, (labels > 0) & (labels != IGNORED)], dim=2).to(features.dtype)  # (N, P, 2)
    sizes = regions.sum(dim=1, keepdim=True)
    sizes = torch.stack([sizes[..., 0].clamp_min(1.0), sizes[..., 1] + 1.0], dim=2)
    background, foreground = unit(features.flatten(2) @ regions / sizes, floor=1e-8).unbind(dim=2)
    return (background * foreground).sum(dim=1)


def region_affinity_distance(student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
    r"""RAD: mean squared difference of :func:`region_affinity` over the batch.

    .. math:: \frac{1}{N} \sum_n (c^s_n - c^t_n)^2

    Shapes:
        student: (N, C_s, H_s, W_s)
        teacher: (N, C_t, H_t, W_t)
        targets: (N, H, W) int64
        returns: ()
    """
    return (region_affinity(student, targets) - region_affinity(teacher, targets)).square().mean()


class EMKDLoss(Loss):
    """Match predictions, importance maps and the affinity of lesion and background (efficient medical distillation).

    The weighted sum of :func:`~preceptor.knowledge.logits.soft_target.soft_target_kl` on the logits (PMD)
    and, on every feature map, :func:`importance_distance` (IMD) and :func:`region_affinity_distance` (RAD).
    Its taps are ``logits``, then one or more feature maps.

    Args:
        temperature: softening T > 0 of the predictions.
        pmd_weight, imd_weight, rad_weight: of the three parts.

    Source: Qin et al. 2021, arXiv:2108.09987, and its code.
    Differs: with several foreground classes their union is the foreground; the low and the high map are
    the encoder's at 1/4 and the bottleneck; an all-foreground mask has no background instead of 0/0.
    """

    key: ClassVar[str] = "emkd"
    needs_labels: ClassVar[bool] = True
    settings: ClassVar[dict[Task, Setting]] = {
        "segmentation": Setting(weight=1.0, student_tap=("logits", "stage1", "last"))
    }

    def __init__(
        self,
        temperature: float = 4.0,
        pmd_weight: float = 0.1,
        imd_weight: float = 0.9,
        rad_weight: float = 0.9,
    ) -> None:
        super().__init__()
        require_above_zero(self.key, temperature=temperature)
        require_not_negative(self.key, pmd_weight=pmd_weight, imd_weight=imd_weight, rad_weight=rad_weight)
        self.temperature = temperature
        self.pmd_weight, self.imd_weight, self.rad_weight = pmd_weight, imd_weight, rad_weight

    def build(self, probe: Probe) -> None:
        """Check the taps."""
        check_logits_and_maps(probe, self.key, least=1, example="[logits, stage1, last]")

    def forward(self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...], targets: Tensor) -> Tensor:
        """Logits and feature maps of both, masks (N, H, W) -> (); see the class."""
        logits = resized_like(student[0], teacher[0])
        known = self.known(targets, teacher[0])
        loss = self.pmd_weight * soft_target_kl(logits, teacher[0], temperature=self.temperature, known=known)
        for student_map, teacher_map in zip(student[1:], teacher[1:], strict=True):
            places = self.known(targets, teacher_map)
            loss = loss + self.imd_weight * importance_distance(student_map, teacher_map, known=places)
            loss = loss + self.rad_weight * region_affinity_distance(student_map, teacher_map, targets)
        return loss
