"""Intra-class feature variation: how far each pixel lies from the centre of its class."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import one_map
from preceptor.knowledge.ignored import mean_of_known
from preceptor.knowledge.maps import unit
from preceptor.knowledge.mask.maps import resized_labels, resized_like
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def class_variation(features: Tensor, labels: Tensor, *, classes: int) -> Tensor:
    r"""Cosine between each pixel's vector and the mean vector of its class in the same image.

    .. math:: v_{ni} = \cos(f_{ni}, c_{n y_{ni}}), \quad
              c_{nk} = \frac{\sum_i [y_{ni} = k] f_{ni}}{\sum_i [y_{ni} = k] + 10^{-6}}

    A pixel whose label is no class, such as an ignored one, is its own centre: 1.

    Shapes:
        features: (N, C, H, W)
        labels: (N, H, W) int64
        returns: (N, H * W)
    """
    pixels, labels = features.flatten(2), labels.flatten(1)  # (N, C, P), (N, P)
    known = (labels >= 0) & (labels < classes)
    labels = labels.where(known, classes)
    columns = torch.arange(classes + 1, device=labels.device)
    members = (labels[..., None] == columns).to(pixels.dtype)  # (N, P, K + 1), the last one of no class
    centres = pixels @ members / (members.sum(dim=1, keepdim=True) + 1e-6)  # (N, C, K + 1)
    cosines = unit(centres, floor=1e-8).mT @ unit(pixels, floor=1e-8)  # (N, K + 1, P)
    return torch.where(known, cosines.gather(1, labels[:, None])[:, 0], 1.0)


def variation_distance(
    student: Tensor, teacher: Tensor, labels: Tensor, *, classes: int, known: Tensor | None = None
) -> Tensor:
    r"""Mean squared difference of the two maps of :func:`class_variation`, over images and the pixels that count.

    .. math:: \frac{1}{N H W} \sum_{n,i} (v^s_{ni} - v^t_{ni})^2

    Shapes:
        student: (N, C_s, H, W)
        teacher: (N, C_t, H, W)
        labels: (N, H, W) int64
        known: (N, H, W), True where a pixel counts; None counts all
        returns: ()
    """
    student_variation = class_variation(student, labels, classes=classes)
    teacher_variation = class_variation(teacher, labels, classes=classes)
    if known is None:
        return F.mse_loss(student_variation, teacher_variation)
    return mean_of_known((student_variation - teacher_variation).square().view(known.shape), known)


class IFVDLoss(Loss):
    """Match how close pixels lie to the centre of their class (intra-class feature variation).

    Module form of :func:`variation_distance`. Channels may differ in number; a class that an image lacks
    contributes nothing.

    Source: Wang et al. 2020, arXiv:2007.10521 (ECCV), and its code.
    Differs: the variation term alone; the paper adds per-pixel soft targets and an adversarial term.
    """

    key: ClassVar[str] = "ifvd"
    needs_shapes = True
    needs_classes = True
    needs_labels: ClassVar[bool] = True
    settings: ClassVar[dict[Task, Setting]] = {"segmentation": Setting(weight=200.0, student_tap="decoder")}

    classes: int

    def build(self, probe: Probe) -> None:
        """Remember how many classes a mask has."""
        one_map(probe, self.key)
        self.classes = probe.classes

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`variation_distance`."""
        labels = resized_labels(targets, teacher)
        student, known = resized_like(student, teacher), self.known(targets, teacher)
        return variation_distance(student, teacher, labels, classes=self.classes, known=known)
