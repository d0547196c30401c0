"""Relational knowledge distillation: distances and angles between samples are the teacher's."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import need_batch, one_tensor
from preceptor.knowledge.maps import unit
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task

_LEAST_SQUARED_DISTANCE = 1e-12


def relation_gaps(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    r"""Smooth L1 distance of the pairwise distances, and of the angles of all triples.

    Distances are divided by their mean over pairs; the angle of a triple is the cosine between the directions from
    one sample to the two others. Means run over all N² and N³ entries, the trivial zeros included.

    Shapes:
        student: (N, D), teacher: (N, D')
        returns: distance term (), angle term ()

    Memory: O(N² D + N³).

    Source: Park et al. 2019, arXiv:1904.05068, reduced as in RepDistiller.
    """
    mine, theirs = _differences(student), _differences(teacher)
    distance = F.smooth_l1_loss(_relative_distances(mine), _relative_distances(theirs))
    return distance, F.smooth_l1_loss(_cosines(mine), _cosines(theirs))


def _differences(embedding: Tensor) -> Tensor:
    return embedding[None, :] - embedding[:, None]  # (N, N, D)


def _relative_distances(differences: Tensor) -> Tensor:
    distances = differences.square().sum(dim=2).clamp_min(_LEAST_SQUARED_DISTANCE).sqrt()
    is_self = torch.eye(len(distances), dtype=torch.bool, device=distances.device)
    distances = distances.masked_fill(is_self, 0.0)
    pairs = max(len(distances) * (len(distances) - 1), 1)
    return distances / (distances.sum() / pairs).clamp_min(_LEAST_SQUARED_DISTANCE)


def _cosines(differences: Tensor) -> Tensor:
    directions = unit(differences, dim=2)
    return directions @ directions.mT  # (N, N, N)


class RelationalLoss(Loss):
    """Match distances and angles between the samples of a batch (relational knowledge distillation).

    The weighted sum of the two terms of :func:`relation_gaps`.

    Args:
        distance_weight, angle_weight: factors of the terms; 25 and 50 in RepDistiller, 1 and 2 times 25 in the paper.

    Source: Park et al. 2019, arXiv:1904.05068.
    """

    key: ClassVar[str] = "rkd"
    settings: ClassVar[dict[Task, Setting]] = {"classification": Setting(weight=1.0, student_tap="embedding")}

    def __init__(self, distance_weight: float = 25.0, angle_weight: float = 50.0) -> None:
        super().__init__()
        if min(distance_weight, angle_weight) < 0:
            raise UserError(f"rkd: weights must be at least 0, got {distance_weight} and {angle_weight}")
        self.distance_weight = distance_weight
        self.angle_weight = angle_weight

    def build(self, probe: Probe) -> None:
        """Check the batch: two samples have one distance, which is its own mean, and no angle."""
        student, teacher = one_tensor(probe, self.key)
        if student.ndim != 2 or teacher.ndim != 2:
            raise UserError(f"rkd on {probe.edge} compares embeddings (N, D); use the tap `embedding`.")
        need_batch(probe, self.key, 3)

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`relation_gaps`."""
        distance, angle = relation_gaps(student, teacher)
        return self.distance_weight * distance + self.angle_weight * angle
