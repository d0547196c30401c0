"""Soft targets for every pixel of a mask."""

from typing import ClassVar

from torch import Tensor

from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import logit_pair
from preceptor.knowledge.logits.soft_target import soft_target_kl
from preceptor.knowledge.mask.maps import require_above_zero, resized_like
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


class SegKDLoss(Loss):
    r"""Match the teacher's class probabilities at every pixel (soft targets for masks).

    .. math:: \frac{T^2}{N H W} \sum_{n,i} \mathrm{KL}\big(\sigma(z^t_{ni} / T) \,\|\, \sigma(z^s_{ni} / T)\big)

    :func:`~preceptor.knowledge.logits.soft_target.soft_target_kl` at the temperature that is usual for masks.

    Args:
        temperature: softening T > 0.

    Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531, on every pixel as in the code of Yang et al. 2022 (CIRKD).
    """

    key: ClassVar[str] = "seg_kd"
    settings: ClassVar[dict[Task, Setting]] = {"segmentation": Setting(weight=1.0, student_tap="logits")}

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        require_above_zero(self.key, temperature=temperature)
        self.temperature = temperature

    def build(self, probe: Probe) -> None:
        """Check that both ends score the same classes."""
        logit_pair(probe, self.key)

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Logits (N, C, H, W), the student's resized to the teacher's -> ()."""
        known = self.known(targets, teacher)
        return soft_target_kl(resized_like(student, teacher), teacher, temperature=self.temperature, known=known)
