"""FDWA-style decoupled distillation for masks: target and other classes apart, hard images weighed up."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.knowledge.base import Loss, Probe, class_logits
from preceptor.knowledge.blocks import conv_norm
from preceptor.knowledge.ignored import means_of_known
from preceptor.knowledge.maps import unit
from preceptor.knowledge.mask.cwd import channel_kl
from preceptor.knowledge.mask.maps import (
    check_logits_and_maps,
    require_above_zero,
    require_not_negative,
    resized_labels,
    resized_like,
)
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def decoupled_pixel_kl(
    student: Tensor, teacher: Tensor, labels: Tensor, *, temperature: float
) -> tuple[Tensor, Tensor]:
    r"""KL(teacher || student) of each pixel, split into its class against the rest, and the others among themselves.

    .. math:: \mathrm{PTCKD}_{ni} = T^2 \, \mathrm{KL}\big((p^t_y, 1 - p^t_y) \,\|\, (p^s_y, 1 - p^s_y)\big), \quad
              \mathrm{PNCKD}_{ni} = T^2 \, \mathrm{KL}\big(\hat p^t \,\|\, \hat p^s\big)

    with y the pixel's label and p̂ the softmax over the other classes. Averaged over the labelled pixels of
    each image; with two classes the second is 0.

    Shapes:
        student, teacher: (N, C, H, W), C of 2 or more
        labels: (N, H, W) int64; pixels with no class of 0 … C - 1 are left out
        returns: (N,), (N,)
    """
    classes = student.shape[1]
    known = (labels >= 0) & (labels < classes)
    own = labels.where(known, 0)[:, None]
    log_student, log_teacher = F.log_softmax(student / temperature, dim=1), F.log_softmax(teacher / temperature, dim=1)
    is_own = torch.zeros_like(student, dtype=torch.bool).scatter(1, own, True)

    rest_student = log_student.masked_fill(is_own, -torch.inf).logsumexp(dim=1, keepdim=True)  # log(1 - p_y)
    rest_teacher = log_teacher.masked_fill(is_own, -torch.inf).logsumexp(dim=1, keepdim=True)
    target = _kl_term(log_student.gather(1, own), log_teacher.gather(1, own)) + _kl_term(rest_student, rest_teacher)
    others_student = (log_student - rest_student).masked_fill(is_own, 0.0)
    others_teacher = (log_teacher - rest_teacher).masked_fill(is_own, 0.0)
    among_others = _kl_term(others_student, others_teacher).sum(dim=1)

    pixels = known.flatten(1).sum(dim=1).clamp_min(1)
    target = target[:, 0].where(known, 0.0).flatten(1).sum(dim=1) / pixels
    among_others = among_others.where(known, 0.0).flatten(1).sum(dim=1) / pixels
    return temperature**2 * target, temperature**2 * among_others


def _kl_term(log_student: Tensor, log_teacher: Tensor) -> Tensor:
    return log_teacher.exp() * (log_teacher - log_student)


def present_class_kl(
    student: Tensor, teacher: Tensor, labels: Tensor, *, temperature: float, known: Tensor | None = None
) -> Tensor:
    """CFP: :func:`~preceptor.knowledge.mask.cwd.channel_kl` averaged over the classes present in each image's mask.

    Shapes:
        student, teacher: (N, C, H, W) logits; a single channel stands for class 1
        labels: (N, H, W) int64
        known: (N, H, W), True where a pixel counts; None counts all
        returns: (), 0 where no image has any of the classes
    """
    channels = student.shape[1]
    named = torch.arange(channels, device=labels.device) if channels > 1 else labels.new_ones(1)
    present = (labels.flatten(1)[:, None, :] == named[:, None]).any(dim=2)  # (N, C)
    divergence = channel_kl(student, teacher, temperature=temperature, known=known)
    return divergence.where(present, 0.0).sum() / present.sum().clamp_min(1)


def feature_distance(projected: Tensor, teacher: Tensor, known: Tensor | None = None) -> Tensor:
    """1 - cosine of the two maps averaged over positions, or those ``known``, (N, C, H, W) twice -> (N,)."""
    if known is None:
        pooled = unit(projected.mean(dim=(2, 3))), unit(teacher.mean(dim=(2, 3)))
    else:
        pooled = unit(means_of_known(projected, known)), unit(means_of_known(teacher, known))
    return 1.0 - (pooled[0] * pooled[1]).sum(dim=1)


def image_weights(distance: Tensor) -> Tensor:
    r"""Weights exp(d_n) / mean exp(d), between 1/2 and 2: images on which the features differ more count more.

    Shapes:
        distance: (N,)
        returns: (N,)
    """
    raised = distance.exp()
    return (raised / raised.mean()).clamp(0.5, 2.0)


class FDWAStyleLoss(Loss):
    r"""Match each pixel's own and other classes apart, images whose features differ counting more (FDWA-style).

    .. math:: \frac{1}{N} \sum_n \omega_n \mathrm{PTCKD}_n + \beta \, \mathrm{PNCKD} + \eta \, \mathrm{CFP}

    of :func:`decoupled_pixel_kl`, :func:`image_weights` and :func:`present_class_kl`. The distance is taken
    after a 1x1 convolution with BatchNorm on the student's map, which learns to bring the two together; the
    student feels neither that nor the weights. Its taps are ``logits``, then one feature map.

    Args:
        beta: weight of the other classes; the 8 of DKD is for a hundred classes.
        eta: weight of the spatial distributions of the classes that are present.
        temperature: softening T > 0 of all three parts.

    Source: after the abstract of Yu et al. 2025 (FDWA-DKD) and Zhao et al. 2022, arXiv:2203.08679.
    Differs: a design of this project after the idea of the first; no claim to reproduce it.
    """

    key: ClassVar[str] = "fdwa_dkd"
    needs_shapes = True
    needs_labels: ClassVar[bool] = True
    settings: ClassVar[dict[Task, Setting]] = {"segmentation": Setting(weight=1.0, student_tap=("logits", "last"))}

    adapter: nn.Module

    def __init__(self, beta: float = 1.0, eta: float = 1.0, temperature: float = 4.0) -> None:
        super().__init__()
        require_not_negative(self.key, beta=beta, eta=eta)
        require_above_zero(self.key, temperature=temperature)
        self.beta, self.eta, self.temperature = beta, eta, temperature

    def build(self, probe: Probe) -> None:
        """Make the adapter of the feature map."""
        check_logits_and_maps(probe, self.key, least=1, most=1, example="[logits, last]")
        student, teacher = probe.student[1], probe.teacher[1]
        if probe.classes == 2:
            self.notes.append("with two classes there are no other classes to compare; beta has no effect")
        self.adapter = nn.Sequential(*conv_norm(student.shape[1], teacher.shape[1]))

    def forward(self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...], targets: Tensor) -> Tensor:
        """Logits and one map of both, masks (N, H, W) -> (); see the class."""
        (student_logits, student_map), (teacher_logits, teacher_map) = student, teacher
        student_logits = resized_like(student_logits, teacher_logits)
        labels = resized_labels(targets, teacher_logits)
        target, others = decoupled_pixel_kl(
            class_logits(student_logits), class_logits(teacher_logits), labels, temperature=self.temperature
        )
        known = self.known(targets, teacher_logits)
        places = present_class_kl(student_logits, teacher_logits, labels, temperature=self.temperature, known=known)
        distance = feature_distance(
            self.adapter(student_map.detach()), teacher_map.detach(), self.known(targets, teacher_map)
        )
        weighted = (image_weights(distance.detach()) * target).mean()
        return weighted + self.beta * others.mean() + self.eta * places + distance.mean()
