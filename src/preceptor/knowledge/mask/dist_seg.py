"""DIST for masks: correlation instead of equality, every pixel a sample."""

from typing import ClassVar

from torch import Tensor

from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import logit_pair
from preceptor.knowledge.logits.dist import correlation_gaps
from preceptor.knowledge.mask.maps import require_above_zero, require_not_negative, resized_like
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


class DISTSegLoss(Loss):
    """Correlate class probabilities with the teacher's, by pixel and by class (DIST for masks).

    :func:`~preceptor.knowledge.logits.dist.correlation_gaps` with every pixel of the batch as a row.

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
            self.beta = 0.0
            self.notes.append("with two classes only the correlation across pixels (gamma) teaches; beta has no effect")

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`~preceptor.knowledge.logits.dist.correlation_gaps`."""
        known = self.known(targets, teacher)
        within_pixels, within_classes = correlation_gaps(
            resized_like(student, teacher), teacher, temperature=self.temperature, known=known
        )
        return self.beta * within_pixels + self.gamma * within_classes
