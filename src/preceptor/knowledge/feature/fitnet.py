"""FitNet: the student predicts a middle map of the teacher, its hint."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.blocks import AdapterNorm
from preceptor.knowledge.edges import one_map
from preceptor.knowledge.maps import to_common_size
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task

_LARGEST_KERNEL = 7


class FitNetLoss(Loss):
    r"""Predict a middle map of the teacher through a convolution (FitNet's hint).

    .. math:: \mathrm{mean}\big( (r(F^s) - F^t)^2 \big), \quad r = \mathrm{ReLU} \circ \mathrm{BN} \circ \mathrm{conv}

    The convolution brings the student to the teacher's size: 1x1 for equal sizes, 3x3 with stride 2 from twice the
    size, transposed 4x4 from half the size, a kernel of 1 + the difference for a few pixels more, otherwise 3x3
    with the larger map average-pooled.

    In the paper's two-stage form this loss trains the student up to the hint alone, without its task loss, before
    soft targets take over: a stage of its own, not another formula.

    Shapes:
        student: (N, C, H, W), teacher: (N, C', H', W')

    Source: Romero et al. 2015, arXiv:1412.6550; tap and weight of RepDistiller.
    Differs: one joint stage by default; beyond a kernel of 7 the larger map is pooled, where RepDistiller
        grows the kernel.
    """

    key: ClassVar[str] = "fitnet"
    needs_shapes = True
    settings: ClassVar[dict[Task, Setting]] = {"classification": Setting(weight=100.0, student_tap="stage2")}

    regressor: nn.Sequential

    def build(self, probe: Probe) -> None:
        """Make the regressor from the student's map to the teacher's."""
        student, teacher = one_map(probe, self.key)
        self.regressor = nn.Sequential(*_resizing(student, teacher), AdapterNorm(teacher.shape[1]), nn.ReLU())

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error of the regressed map."""
        predicted, hint = to_common_size(self.regressor(student), teacher)
        return F.mse_loss(predicted, hint)


def _resizing(student: Tensor, teacher: Tensor) -> list[nn.Module]:
    """Layers from the student's channels and size to the teacher's, a convolution last."""
    inputs, outputs = student.shape[1], teacher.shape[1]
    (height, width), (to_height, to_width) = student.shape[2:], teacher.shape[2:]
    if (height, width) == (2 * to_height, 2 * to_width):
        return [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)]
    if (2 * height, 2 * width) == (to_height, to_width):
        return [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)]
    kernel = (1 + height - to_height, 1 + width - to_width)
    if min(kernel) >= 1 and max(kernel) <= _LARGEST_KERNEL:
        return [nn.Conv2d(inputs, outputs, kernel)]
    smaller = (min(height, to_height), min(width, to_width))
    pooling = [] if smaller == (height, width) else [nn.AdaptiveAvgPool2d(smaller)]
    return [*pooling, nn.Conv2d(inputs, outputs, 3, padding=1)]
