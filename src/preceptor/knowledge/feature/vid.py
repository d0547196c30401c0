"""Variational information distillation: the student's maps should tell what the teacher's are."""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import as_maps, paired_maps
from preceptor.knowledge.maps import to_common_size
from preceptor.knowledge.setting import Setting
from preceptor.networks.outputs import Knowledge
from preceptor.specs import Task

_LEAST_VARIANCE = 1e-5


def gaussian_misfit(mean: Tensor, teacher: Tensor, variance: Tensor) -> Tensor:
    r"""Negative log likelihood of the teacher's map, constants left out.

    .. math:: \mathrm{mean} \; \tfrac12 \Big[ \frac{(\mu - F^t)^2}{\sigma^2} + \log \sigma^2 \Big]

    Shapes:
        mean, teacher: (N, C, H, W); variance: (C,), above 0
        returns: ()

    Source: Ahn et al. 2019, arXiv:1904.05835
    """
    variance = variance[:, None, None]
    return 0.5 * ((mean - teacher).square() / variance + variance.log()).mean()


class _Level(nn.Module):
    """Predicted mean of one teacher map and its learned variance per channel."""

    def __init__(self, inputs: int, outputs: int, *, initial_variance: float) -> None:
        super().__init__()
        self.mean = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 1, bias=False),
        )
        start = math.log(math.expm1(initial_variance - _LEAST_VARIANCE))  # inverse of softplus
        self.spread = nn.Parameter(torch.full((outputs,), start))

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student, teacher = to_common_size(student, teacher)
        return gaussian_misfit(self.mean(student), teacher, F.softplus(self.spread) + _LEAST_VARIANCE)


class VIDLoss(Loss):
    """Predict the teacher's maps with a learned variance per channel (variational information distillation).

    The sum of :func:`gaussian_misfit` over the levels. The mean is a stack of three 1x1 convolutions of the teacher's
    width, without bias, with ReLU between; the variance is softplus(rho) + 1e-5.

    Args:
        initial_variance: variance at the start.

    Shapes:
        student, teacher: as many maps (N, C, H, W) each; the larger of a pair is average-pooled

    Source: Ahn et al. 2019, arXiv:1904.05835; taps and weight of RepDistiller.
    """

    key: ClassVar[str] = "vid"
    needs_shapes = True
    settings: ClassVar[dict[Task, Setting]] = {"classification": Setting(weight=1.0, student_tap="stages")}

    def __init__(self, initial_variance: float = 5.0) -> None:
        super().__init__()
        if initial_variance <= _LEAST_VARIANCE:
            raise UserError(f"vid: initial_variance must be above {_LEAST_VARIANCE}, got {initial_variance}")
        self.initial_variance = initial_variance
        self.levels = nn.ModuleList()

    def build(self, probe: Probe) -> None:
        """Make the predictor of each level."""
        self.levels = nn.ModuleList(
            _Level(student.shape[1], teacher.shape[1], initial_variance=self.initial_variance)
            for student, teacher in paired_maps(probe, self.key)
        )

    def forward(self, student: Knowledge, teacher: Knowledge, targets: Tensor) -> Tensor:
        """Sum over the levels."""
        pairs = zip(self.levels, as_maps(student), as_maps(teacher), strict=True)
        return torch.stack([level(mine, theirs) for level, mine, theirs in pairs]).sum()
