"""DIST for masks: correlation instead of equality, every pixel a sample."""

from typing import ClassVar

import torch
from torch import Tensor

from preceptor.catalogue import Setting
from preceptor.knowledge.base import Loss, Probe, class_logits
from preceptor.knowledge.edges import logit_pair
from preceptor.knowledge.mask.maps import require_above_zero, require_not_negative, resized
from preceptor.recipe import Task


def pearson(first: Tensor, second: Tensor, *, dim: int) -> Tensor:
    r"""Correlation along ``dim``; 0, without gradient, where one of the two is constant.

    .. math:: \frac{\langle a - \bar a, b - \bar b \rangle}{\|a - \bar a\| \|b - \bar b\| + 10^{-8}}

    Shapes:
        first, second: equal
        returns: without ``dim``
    """
    first, second = _centred(first, dim), _centred(second, dim)
    norms = torch.linalg.vector_norm(first, dim=dim) * torch.linalg.vector_norm(second, dim=dim)
    varies = norms > torch.finfo(norms.dtype).eps ** 2
    return torch.where(varies, (first * second).sum(dim=dim) / (torch.where(varies, norms, 1.0) + 1e-8), 0.0)


def _centred(values: Tensor, dim: int) -> Tensor:
    return values - values.mean(dim=dim, keepdim=True)


def pixel_correlation_distance(
    student: Tensor, teacher: Tensor, *, beta: float, gamma: float, temperature: float
) -> Tensor:
    r"""How far the probabilities of pixels are from correlating, within each pixel and within each class.

    .. math:: T^2 \Big[\beta \big(1 - \tfrac{1}{P} \sum_i \rho(p^s_{i:}, p^t_{i:})\big)
              + \gamma \big(1 - \tfrac{1}{C} \sum_c \rho(p^s_{:c}, p^t_{:c})\big)\Big], \quad p = \sigma(z / T)

    with the P pixels of the whole batch as rows i and the classes as columns c.

    Shapes:
        student, teacher: (N, C, H, W), C of 2 or more
        returns: ()
    """
    ours = (student / temperature).softmax(dim=1).movedim(1, 0).flatten(1)  # (C, P)
    theirs = (teacher / temperature).softmax(dim=1).movedim(1, 0).flatten(1)
    within_pixels = 1.0 - pearson(ours, theirs, dim=0).mean() if beta else 0.0
    within_classes = 1.0 - pearson(ours, theirs, dim=1).mean()
    return temperature**2 * (beta * within_pixels + gamma * within_classes)


class DISTSeg(Loss):
    """The probabilities of all pixels correlate with the teacher's: :func:`pixel_correlation_distance`.

    With two classes the correlation within a pixel is always 1 or -1 and teaches nothing: it is left out.

    Args:
        beta: weight of the correlation within each pixel, across classes.
        gamma: weight of the correlation within each class, across pixels.
        temperature: softening T > 0.

    Source: Huang et al. 2022, arXiv:2205.10536, section 3, and its code for masks.
    """

    key: ClassVar[str] = "dist_seg"
    settings: ClassVar[dict[Task, Setting]] = {"segmentation": Setting(weight=1.0, student_tap="logits")}

    def __init__(self, beta: float = 1.0, gamma: float = 1.0, temperature: float = 1.0) -> None:
        super().__init__()
        require_not_negative(self.key, beta=beta, gamma=gamma)
        require_above_zero(self.key, temperature=temperature)
        self.beta, self.gamma, self.temperature = beta, gamma, temperature

    def build(self, probe: Probe) -> None:
        """Check that both ends score the same classes."""
        logit_pair(probe, self.key)
        if probe.classes == 2:
            self.notes.append("with two classes only the correlation across pixels (gamma) teaches; beta has no effect")

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`pixel_correlation_distance`."""
        student, teacher = class_logits(resized(student, teacher)), class_logits(teacher)
        beta = self.beta if student.shape[1] > 2 else 0.0
        return pixel_correlation_distance(student, teacher, beta=beta, gamma=self.gamma, temperature=self.temperature)
