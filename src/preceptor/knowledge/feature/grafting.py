"""Network grafting: a grafted network answers as the teacher does, whatever the scale of its logits."""

from typing import ClassVar

from torch import Tensor

from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import logit_pair
from preceptor.knowledge.maps import unit
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def normalised_logit_distance(grafted_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    r"""Squared distance of logit vectors of unit length, summed over the batch.

    .. math:: \sum_n \Big\| \frac{z^g_n}{\|z^g_n\|} - \frac{z^t_n}{\|z^t_n\|} \Big\|^2

    The sum grows with the batch, and with it the best learning rate; divide by N for a loss that does not.

    Shapes:
        grafted_logits, teacher_logits: (N, C)
        returns: ()

    Source: Shen et al. 2021, arXiv:2012.04915, reduced as in its code.
    """
    return (unit(grafted_logits) - unit(teacher_logits)).square().sum()


class GraftingLoss(Loss):
    """Answer as the teacher does, whatever the scale of the logits.

    Module form of :func:`normalised_logit_distance`; the sum over the batch makes the best learning rate depend on
    the batch size.

    Source: Shen et al. 2021, arXiv:2012.04915, reduced as in its code.
    """

    key: ClassVar[str] = "grafting"
    settings: ClassVar[dict[Task, Setting]] = {
        "classification": Setting(weight=1.0, student_tap="logits", task_weight=0.0),
    }

    def build(self, probe: Probe) -> None:
        """Check that both ends score the same classes."""
        logit_pair(probe, self.key)

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`normalised_logit_distance`."""
        return normalised_logit_distance(student, teacher)
