"""Features that copy the teacher's, every dimension of equal weight."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.ignored import mean_of_known
from preceptor.knowledge.projector import on_grid_of, projector_for
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task

_LEAST_DEVIATION = 1e-6


def standardised(features: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Each dimension minus its mean, divided by its standard deviation; one that never changes becomes 0.

    Shapes:
        features: (N, D) or (N, D, H, W); mean, deviation: (D,)
        returns: as features
    """
    shape = (1, -1, *[1] * (features.ndim - 2))
    mean, deviation = mean.reshape(shape), deviation.reshape(shape)
    moves = deviation > _LEAST_DEVIATION
    return torch.where(moves, (features - mean) / deviation.clamp_min(_LEAST_DEVIATION), 0.0)


class StandardisedLoss(Loss):
    """Copy the teacher's features, standardised per dimension, by the smooth L1 distance.

    The mean and standard deviation of each of the teacher's dimensions are measured over the training part before the
    stage begins, without augmentation, and kept with the run's checkpoints. Large activations of few dimensions, which
    foundation models have, then do not drown the others.

    Args:
        beta: where the distance turns from square to linear.

    Source: the standardised smooth L1 of Shang et al. 2024, arXiv:2407.20179 (Theia); Girshick 2015, arXiv:1504.08083.
    """

    key: ClassVar[str] = "feature_smooth_l1"
    settings: ClassVar[dict[Task, Setting]] = {
        "classification": Setting(weight=1.0, student_tap="embedding"),
        "segmentation": Setting(weight=1.0, student_tap="last"),
    }
    needs_statistics: ClassVar[bool] = True
    needs_shapes: ClassVar[bool] = True

    projector: nn.Module
    mean: Tensor
    deviation: Tensor

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = beta

    def build(self, probe: Probe) -> None:
        """Make the projector, and room for the statistics."""
        if probe.teacher_learns:
            raise UserError(
                f"feature_smooth_l1 on {probe.edge} standardises by statistics of the teacher as it is, and this one "
                "goes on learning; use `cosine`, or a frozen teacher"
            )
        self.projector = projector_for(probe, self.key)
        assert isinstance(probe.teacher, Tensor), "projector_for has refused several"
        width = probe.teacher.shape[1]
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def take_statistics(self, mean: Tensor, deviation: Tensor) -> None:
        """Keep them for :func:`standardised`."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)

    def side_by_side(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """The projected student on the teacher's grid, and the standardised teacher."""
        wanted = standardised(teacher, self.mean, self.deviation)
        return on_grid_of(self.projector(student), teacher), wanted

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`standardised`."""
        predicted, wanted = self.side_by_side(student, teacher)
        gaps = F.smooth_l1_loss(predicted, wanted, beta=self.beta, reduction="none")
        known = self.known(targets, teacher)
        return gaps.mean() if known is None else mean_of_known(gaps, known)
