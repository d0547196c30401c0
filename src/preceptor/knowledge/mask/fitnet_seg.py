"""Hints for masks: the student's last decoder map, projected, equals the teacher's."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import one_map
from preceptor.knowledge.ignored import mean_of_known
from preceptor.knowledge.mask.maps import resized_like
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def hint_distance(projected: Tensor, teacher: Tensor, known: Tensor | None = None) -> Tensor:
    r"""Mean squared difference over all elements, or over those of the positions that count.

    .. math:: \frac{1}{N C H W} \sum (W F^s - F^t)^2

    Shapes:
        projected: (N, C, H, W), W F^s, with the teacher's channels
        teacher: (N, C, H, W)
        known: (N, H, W), True where a position counts; None counts all
        returns: ()
    """
    return F.mse_loss(projected, teacher) if known is None else mean_of_known((projected - teacher).square(), known)


class FitNetSegLoss(Loss):
    """Match the last decoder map, after a 1x1 convolution (FitNet's hints for masks).

    Module form of :func:`hint_distance`.

    Source: Romero et al. 2015, arXiv:1412.6550, as in the code of Yang et al. 2022 (CIRKD).
    Differs: compares the last decoder map of a U-Net, where CIRKD takes the map before the classifier.
    """

    key: ClassVar[str] = "fitnet_seg"
    needs_shapes = True
    settings: ClassVar[dict[Task, Setting]] = {"segmentation": Setting(weight=10.0, student_tap="decoder")}

    adapter: nn.Conv2d

    def build(self, probe: Probe) -> None:
        """Make the 1x1 convolution to the teacher's channels."""
        student, teacher = one_map(probe, self.key)
        self.adapter = nn.Conv2d(student.shape[1], teacher.shape[1], kernel_size=1, bias=False)

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`hint_distance`."""
        return hint_distance(resized_like(self.adapter(student), teacher), teacher, self.known(targets, teacher))
