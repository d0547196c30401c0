"""Normalised knowledge distillation: soft target class and normalised soft other classes."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe, class_logits
from preceptor.knowledge.edges import logit_pair
from preceptor.knowledge.logits.dkd import without_target
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def normalised_cross_entropy(
    student_logits: Tensor, teacher_logits: Tensor, targets: Tensor, *, gamma: float, temperature: float
) -> Tensor:
    r"""Cross entropy of the target's probability, and of the others normalised among themselves.

    .. math:: -\mathrm{mean}_n \Big[ p^t_y \log p^s_y
              + \gamma T^2 \sum_{c \ne y} \sigma(z^t_{\ne y}/T)_c \log \sigma(z^s_{\ne y}/T)_c \Big]

    The first part is at temperature 1. A cross entropy, so it is not 0 for a perfect student.

    Shapes:
        student_logits, teacher_logits: (N, C) or (N, C, H, W), C = 1 is the pair (0, z)
        targets: (N,) or (N, H, W)
        returns: ()

    Source: Yang et al. 2023, arXiv:2303.13005
    """
    student_logits, teacher_logits = class_logits(student_logits), class_logits(teacher_logits)
    log_target = F.log_softmax(student_logits, dim=1).gather(1, targets[:, None])
    soft_target = teacher_logits.softmax(dim=1).gather(1, targets[:, None])
    log_others = F.log_softmax(without_target(student_logits, targets) / temperature, dim=1)
    soft_others = (without_target(teacher_logits, targets) / temperature).softmax(dim=1)
    return -(soft_target * log_target).mean() - gamma * temperature**2 * (soft_others * log_others).sum(dim=1).mean()


class NKDLoss(Loss):
    """Scale the target's cross entropy by the teacher's confidence and teach the others normalised (NKD).

    Module form of :func:`normalised_cross_entropy`.

    Args:
        gamma: factor of the other classes' part.
        temperature: of that part.

    Source: Yang et al. 2023, arXiv:2303.13005; ImageNet setting.
    """

    key: ClassVar[str] = "nkd"
    needs_labels: ClassVar[bool] = True
    settings: ClassVar[dict[Task, Setting]] = {"classification": Setting(weight=1.0, student_tap="logits")}

    def __init__(self, gamma: float = 1.5, temperature: float = 1.0) -> None:
        super().__init__()
        if gamma < 0:
            raise UserError(f"nkd: gamma must be at least 0, got {gamma}")
        if temperature <= 0:
            raise UserError(f"nkd: temperature must be above 0, got {temperature}")
        self.gamma = gamma
        self.temperature = temperature

    def build(self, probe: Probe) -> None:
        """Check the logits."""
        student, _ = logit_pair(probe, self.key)
        if student.shape[1] == 2:
            self.notes.append("with two classes the part of the other classes is 0; the target's part is left")

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`normalised_cross_entropy`."""
        return normalised_cross_entropy(student, teacher, targets, gamma=self.gamma, temperature=self.temperature)
