"""Logit standardisation: soft targets of z-scored logits, so the student need not copy the teacher's scale."""

from typing import ClassVar

from torch import Tensor

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import logit_pair
from preceptor.knowledge.logits.soft_target import soft_target_kl
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task

_EPS = 1e-7


def standardised(logits: Tensor) -> Tensor:
    """Each sample's logits with mean 0 and standard deviation 1 (unbiased, plus 1e-7) over the classes, dimension 1."""
    return (logits - logits.mean(dim=1, keepdim=True)) / (logits.std(dim=1, keepdim=True) + _EPS)


class StandardisedLogitLoss(Loss):
    """Match softened probabilities of standardised logits, free of their scale (logit standardisation).

    :func:`~preceptor.knowledge.logits.soft_target.soft_target_kl` of :func:`standardised` logits. Two logits
    always standardise to the same pair, so it needs three classes.

    Args:
        temperature: softening T > 0.

    Source: Sun et al. 2024, arXiv:2403.01427; weights of its code.
    """

    key: ClassVar[str] = "logit_std_kd"
    settings: ClassVar[dict[Task, Setting]] = {
        "classification": Setting(weight=9.0, student_tap="logits", task_weight=0.1)
    }

    def __init__(self, temperature: float = 2.0) -> None:
        super().__init__()
        if temperature <= 0:
            raise UserError(f"logit_std_kd: temperature must be above 0, got {temperature}")
        self.temperature = temperature

    def build(self, probe: Probe) -> None:
        """Refuse two classes."""
        student, _ = logit_pair(probe, self.key)
        if student.shape[1] == 2:
            raise UserError(
                f"logit_std_kd on {probe.edge} has no signal with two classes: any two logits standardise to "
                f"-0.71 and 0.71.\nUse `kd`, or `dist` with batches of three or more."
            )

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Soft targets of standardised logits."""
        return soft_target_kl(standardised(student), standardised(teacher), temperature=self.temperature)
