"""Soft targets: the student matches the teacher's softened class distribution."""

from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe, class_logits
from preceptor.knowledge.edges import logit_pair
from preceptor.knowledge.ignored import mean_of_known
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task

Direction = Literal["forward", "reverse"]


def soft_target_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    temperature: float,
    direction: Direction = "forward",
    known: Tensor | None = None,
) -> Tensor:
    r"""KL divergence between softened class distributions, times T².

    .. math:: \frac{T^2}{N} \sum_n \mathrm{KL}\big(\sigma(z^t_n / T) \,\|\, \sigma(z^s_n / T)\big)

    T² keeps gradients the same size as T grows, so a weight tuned at one temperature still fits at
    another. ``reverse`` is KL(student || teacher): mode seeking, and a class that the student has
    dropped gets no signal back. Does not detach: the transfer decides who receives gradient.

    Args:
        known: (N, H, W), True where a pixel counts; None counts all.

    Shapes:
        student_logits, teacher_logits: (N, C), or (N, C, H, W) for masks; C = 1 is the pair (0, z)
        returns: (), summed over C, averaged over everything else

    Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531, section 2; ``reverse``: Niyaz et al., equation 3.
    """
    log_student = F.log_softmax(class_logits(student_logits) / temperature, dim=1)
    log_teacher = F.log_softmax(class_logits(teacher_logits) / temperature, dim=1)
    if direction == "reverse":
        log_student, log_teacher = log_teacher, log_student
    kl = F.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(dim=1)
    return temperature**2 * mean_of_known(kl, known)


class SoftTargetLoss(Loss):
    """Match the teacher's class probabilities, softened by a temperature (Hinton's knowledge distillation).

    Module form of :func:`soft_target_kl`.

    Args:
        temperature: softening T > 0; 4 is the usual CIFAR-100 setting, 1 leaves the distributions as they are.
        direction: ``forward`` is KL(teacher || student), ``reverse`` KL(student || teacher).

    Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531; weights of RepDistiller and, for masks, CIRKD.
    """

    key: ClassVar[str] = "kd"
    settings: ClassVar[dict[Task, Setting]] = {
        "classification": Setting(weight=0.9, student_tap="logits", task_weight=0.1),
        "segmentation": Setting(weight=1.0, student_tap="logits"),
    }

    def __init__(self, temperature: float = 4.0, direction: Direction = "forward") -> None:
        super().__init__()
        if temperature <= 0:
            raise UserError(f"kd: temperature must be above 0, got {temperature}")
        if direction not in ("forward", "reverse"):
            raise UserError(f"kd: direction must be `forward` or `reverse`, got {direction!r}")
        self.temperature = temperature
        self.direction: Direction = direction

    def build(self, probe: Probe) -> None:
        """Check that both ends score the same classes."""
        logit_pair(probe, self.key)

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`soft_target_kl`."""
        known = self.known(targets, teacher)
        return soft_target_kl(student, teacher, temperature=self.temperature, direction=self.direction, known=known)
