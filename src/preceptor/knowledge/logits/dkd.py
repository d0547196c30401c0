"""Decoupled knowledge distillation: the target class and the others are taught separately."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe, class_logits
from preceptor.knowledge.edges import logit_pair
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def without_target(logits: Tensor, targets: Tensor) -> Tensor:
    """The logits of the other classes, in order.

    Shapes:
        logits: (N, C) or (N, C, H, W), targets: (N,) or (N, H, W)
        returns: (N, C - 1) or (N, C - 1, H, W)
    """
    others = torch.arange(logits.shape[1] - 1, device=logits.device).view(-1, *[1] * (logits.ndim - 2))
    index = others + (others >= targets[:, None])
    return logits.gather(1, index)


def decoupled_kl(
    student_logits: Tensor, teacher_logits: Tensor, targets: Tensor, *, temperature: float
) -> tuple[Tensor, Tensor]:
    r"""The two parts of KL(teacher || student), each times T², per sample.

    .. math:: \mathrm{TCKD} = T^2 \, \mathrm{KL}\big((p^t_y, 1 - p^t_y) \,\|\, (p^s_y, 1 - p^s_y)\big), \quad
              \mathrm{NCKD} = T^2 \, \mathrm{KL}\big(\sigma(z^t_{\ne y} / T) \,\|\, \sigma(z^s_{\ne y} / T)\big)

    Both in log space. With two classes NCKD is 0.

    Shapes:
        student_logits, teacher_logits: (N, C) or (N, C, H, W), C = 1 is the pair (0, z)
        targets: (N,) or (N, H, W)
        returns: TCKD and NCKD, each the shape of ``targets``

    Source: Zhao et al. 2022, arXiv:2203.08679.
    """
    binary, others = zip(*(_split(z, targets, temperature) for z in (student_logits, teacher_logits)), strict=True)
    return temperature**2 * _kl(*binary), temperature**2 * _kl(*others)


def _split(logits: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Log probabilities of (target, not target), and of the other classes among themselves."""
    log_probabilities = F.log_softmax(class_logits(logits) / temperature, dim=1)
    rest = without_target(log_probabilities, targets)
    total = rest.logsumexp(dim=1, keepdim=True)
    return torch.cat((log_probabilities.gather(1, targets[:, None]), total), dim=1), F.log_softmax(rest, dim=1)


def _kl(log_student: Tensor, log_teacher: Tensor) -> Tensor:
    return F.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(dim=1)


class DKDLoss(Loss):
    """Match the target's probability and the other classes' ranking with weights of their own (DKD).

    alpha times the mean TCKD plus beta times the mean NCKD of :func:`decoupled_kl`.

    Args:
        alpha, beta: of the target part and of the others' part; 1 and 8 for 100 classes, beta 0.5 for ImageNet.
        temperature: of both.

    Source: Zhao et al. 2022, arXiv:2203.08679; CIFAR-100 setting of mdistiller.
    """

    key: ClassVar[str] = "dkd"
    needs_labels: ClassVar[bool] = True
    settings: ClassVar[dict[Task, Setting]] = {"classification": Setting(weight=1.0, student_tap="logits", warmup=20)}

    def __init__(self, alpha: float = 1.0, beta: float = 8.0, temperature: float = 4.0) -> None:
        super().__init__()
        if min(alpha, beta) < 0:
            raise UserError(f"dkd: alpha and beta must be at least 0, got {alpha} and {beta}")
        if temperature <= 0:
            raise UserError(f"dkd: temperature must be above 0, got {temperature}")
        self.alpha = alpha
        self.beta = beta
        self.temperature = temperature

    def build(self, probe: Probe) -> None:
        """Check the logits; with two classes only the target part is left, which alpha = 0 would silence."""
        student, _ = logit_pair(probe, self.key)
        if student.shape[1] > 2:
            return
        if self.alpha == 0:
            raise UserError(f"dkd on {probe.edge}: with two classes only the target part has a signal; alpha is 0.")
        self.notes.append("with two classes the part of the other classes is 0, which leaves alpha times kd")

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`decoupled_kl`."""
        target, others = decoupled_kl(student, teacher, targets, temperature=self.temperature)
        return self.alpha * target.mean() + self.beta * others.mean()
