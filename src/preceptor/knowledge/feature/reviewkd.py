"""ReviewKD: deep student maps, fused step by step with shallower ones, match every teacher level."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.blocks import conv_norm
from preceptor.knowledge.edges import as_maps
from preceptor.knowledge.maps import pool_to
from preceptor.knowledge.setting import Setting
from preceptor.networks.outputs import Knowledge
from preceptor.specs import Task

_LEVELS = (4, 2, 1)


def hierarchical_context(students: Sequence[Tensor], teachers: Sequence[Tensor]) -> Tensor:
    r"""Distance of maps and of their average-pooled pyramids, summed over the stages.

    Each stage is the weighted mean of the error of the maps themselves (weight 1) and of their pools to 4x4, 2x2 and
    1x1 (weights 1/2, 1/4, 1/8); pools that are no smaller than the map are left out and do not use up a weight.

    Shapes:
        students, teachers: as many maps (N, C, H, W) each, pairwise of one shape
        returns: ()

    Source: Chen et al. 2021, arXiv:2104.09044
    """
    return torch.stack([_pyramid(*pair) for pair in zip(students, teachers, strict=True)]).sum()


def _pyramid(student: Tensor, teacher: Tensor) -> Tensor:
    total, weight, weights = F.mse_loss(student, teacher), 1.0, 1.0
    for size in _LEVELS:
        if size < student.shape[2]:
            weight /= 2
            weights += weight
            pooled = F.mse_loss(pool_to(student, (size, size)), pool_to(teacher, (size, size)))
            total = total + weight * pooled
    return total / weights


class Fusion(nn.Module):
    """Mixes a student map with what came from deeper stages and projects it to the teacher's channels.

    Args:
        deepest: True for the first one, which has nothing to mix with.
    """

    def __init__(self, inputs: int, outputs: int, *, middle: int, deepest: bool) -> None:
        super().__init__()
        self.reduce = nn.Sequential(*conv_norm(inputs, middle))
        self.mix = None if deepest else nn.Conv2d(2 * middle, 2, 1)
        self.project = nn.Sequential(*conv_norm(middle, outputs, kernel=3))

    def forward(self, feature_map: Tensor, deeper: Tensor | None, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """(projected map, fused map for the next shallower stage), both at the teacher's ``size``."""
        fused: Tensor = self.reduce(feature_map)
        if self.mix is not None and deeper is not None:
            deeper = F.interpolate(deeper, size=fused.shape[2:], mode="nearest")
            shares = self.mix(torch.cat((fused, deeper), dim=1)).sigmoid()
            fused = fused * shares[:, :1] + deeper * shares[:, 1:]
        if fused.shape[2:] != size:
            fused = F.interpolate(fused, size=size, mode="nearest")
        return self.project(fused), fused


class ReviewKDLoss(Loss):
    """Match each teacher stage with all student stages as deep or deeper, fused by attention (ReviewKD).

    The student's maps go deep to shallow through :class:`Fusion`; :func:`hierarchical_context` compares the results.
    The pooled embedding is the deepest level, a map of 1x1.

    Args:
        widest: most channels of the fused maps, which have the last student level's otherwise.

    Shapes:
        student, teacher: as many maps (N, C, H, W) or vectors (N, C) each, shallow to deep

    Source: Chen et al. 2021, arXiv:2104.09044; weight and warm-up for ImageNet of mdistiller.
    Differs: the teacher's maps are taken after the activation, the reference's before it.
    """

    key: ClassVar[str] = "reviewkd"
    needs_shapes = True
    settings: ClassVar[dict[Task, Setting]] = {
        "classification": Setting(weight=1.0, student_tap=("stages", "embedding"), warmup=1)
    }

    def __init__(self, widest: int = 512) -> None:
        super().__init__()
        if widest < 1:
            raise UserError(f"reviewkd: widest must be at least 1, got {widest}")
        self.widest = widest
        self.fusions = nn.ModuleList()

    def build(self, probe: Probe) -> None:
        """Make the fusion of each level."""
        students, teachers = as_maps(probe.student), as_maps(probe.teacher)
        if len(students) != len(teachers) or any(tensor.ndim not in (2, 4) for tensor in students + teachers):
            raise UserError(
                f"reviewkd on {probe.edge} compares maps level by level; the student's tap gives {len(students)}, "
                f"the teacher's {len(teachers)}.\nLeave the taps out, or name as many maps for both."
            )
        middle = min(self.widest, students[-1].shape[1])
        deepest = len(students) - 1
        self.fusions = nn.ModuleList(
            Fusion(mine.shape[1], theirs.shape[1], middle=middle, deepest=level == deepest)
            for level, (mine, theirs) in enumerate(zip(students, teachers, strict=True))
        )

    def forward(self, student: Knowledge, teacher: Knowledge, targets: Tensor) -> Tensor:
        """See :func:`hierarchical_context`."""
        teachers = [_as_map(tensor) for tensor in as_maps(teacher)]
        return hierarchical_context(self.review([_as_map(tensor) for tensor in as_maps(student)], teachers), teachers)

    def review(self, students: Sequence[Tensor], teachers: Sequence[Tensor]) -> list[Tensor]:
        """The student's fused maps in the teacher's shapes, shallow to deep."""
        reviewed: list[Tensor] = []
        deeper = None
        for fusion, mine, theirs in reversed(list(zip(self.fusions, students, teachers, strict=True))):
            projected, deeper = fusion(mine, deeper, tuple(theirs.shape[2:]))
            reviewed.insert(0, projected)
        return reviewed


def _as_map(tensor: Tensor) -> Tensor:
    return tensor if tensor.ndim == 4 else tensor[:, :, None, None]
