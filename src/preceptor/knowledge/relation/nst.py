"""Neuron selectivity transfer: channels of student and teacher are distributed alike over positions."""

from typing import ClassVar

import torch
from torch import Tensor

from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import as_maps, paired_maps
from preceptor.knowledge.maps import to_common_size, unit
from preceptor.knowledge.setting import Setting
from preceptor.networks.outputs import Knowledge
from preceptor.specs import Task


def selectivity_discrepancy(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Maximum mean discrepancy between the channels of two maps, with the kernel k(x, y) = (xᵀy)².

    .. math:: \frac{1}{C_t^2} \sum_{ij} k(t_i, t_j) + \frac{1}{C_s^2} \sum_{ij} k(s_i, s_j)
              - \frac{2}{C_s C_t} \sum_{ij} k(s_i, t_j)
              = \Big\| \tfrac{1}{C_t} T^\top T - \tfrac{1}{C_s} S^\top S \Big\|_F^2

    Channels are flattened and of unit length. The right-hand form, over pairs of positions, is used where there are
    fewer of them than pairs of channels, so that neither needs more memory than the maps.

    Shapes:
        student: (N, C, H, W), teacher: (N, C', H', W'); the larger is average-pooled
        returns: (), mean over the batch

    Source: Huang & Wang 2017, arXiv:1707.01219, with the polynomial kernel of degree 2.
    """
    student, teacher = to_common_size(student, teacher)
    mine, theirs = unit(student.flatten(2), dim=2), unit(teacher.flatten(2), dim=2)  # (N, C, H * W)
    if mine.shape[2] <= max(mine.shape[1], theirs.shape[1]):
        gap = theirs.mT @ theirs / theirs.shape[1] - mine.mT @ mine / mine.shape[1]
        return gap.square().sum(dim=(1, 2)).mean()
    return _kernel(theirs, theirs) + _kernel(mine, mine) - 2.0 * _kernel(mine, theirs)


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    return (first @ second.mT).square().mean()


class NSTLoss(Loss):
    """Match which positions the channels select, without pairing channels (neuron selectivity transfer).

    The sum of :func:`selectivity_discrepancy` over the levels.

    Shapes:
        student, teacher: as many maps (N, C, H, W) each

    Source: Huang & Wang 2017, arXiv:1707.01219; taps and weight of RepDistiller.
    """

    key: ClassVar[str] = "nst"
    settings: ClassVar[dict[Task, Setting]] = {"classification": Setting(weight=50.0, student_tap="stages")}

    def build(self, probe: Probe) -> None:
        """Check that the maps pair up."""
        paired_maps(probe, self.key)

    def forward(self, student: Knowledge, teacher: Knowledge, targets: Tensor) -> Tensor:
        """Sum over the levels."""
        pairs = zip(as_maps(student), as_maps(teacher), strict=True)
        return torch.stack([selectivity_discrepancy(mine, theirs) for mine, theirs in pairs]).sum()
