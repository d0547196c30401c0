"""Probabilistic knowledge transfer: every sample has the teacher's distribution of neighbours."""

from typing import ClassVar

import torch
from torch import Tensor

from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import need_batch, one_tensor
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task

_EPS = 1e-7


def neighbour_kl(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Divergence of the neighbour distributions of a batch.

    .. math:: \frac{1}{N^2} \sum_{ij} p^t_{ij} \log \frac{p^t_{ij} + \epsilon}{p^s_{ij} + \epsilon}, \quad
              p_{ij} \propto \tfrac12 (\cos(e_i, e_j) + 1)

    Shapes:
        student: (N, ...), teacher: (N, ...); everything after N is flattened and free
        returns: ()

    Source: Passalis & Tefas 2018, arXiv:1803.10837, reduced as in RepDistiller.
    """
    theirs, mine = _neighbours(teacher), _neighbours(student)
    return (theirs * ((theirs + _EPS) / (mine + _EPS)).log()).mean()


def _neighbours(features: Tensor) -> Tensor:
    flat = features.flatten(1)
    flat = flat / (torch.linalg.vector_norm(flat, dim=1, keepdim=True) + _EPS)
    similarity: Tensor = (flat @ flat.T + 1.0).clamp_min(0.0) / 2.0
    return similarity / similarity.sum(dim=1, keepdim=True).clamp_min(_EPS)  # (N, N)


class NeighbourLoss(Loss):
    """Match how likely samples of a batch are to be neighbours (probabilistic knowledge transfer).

    Module form of :func:`neighbour_kl`.

    Source: Passalis & Tefas 2018, arXiv:1803.10837; weight of RepDistiller.
    """

    key: ClassVar[str] = "pkt"
    settings: ClassVar[dict[Task, Setting]] = {"classification": Setting(weight=30000.0, student_tap="embedding")}

    def build(self, probe: Probe) -> None:
        """Check the batch."""
        one_tensor(probe, self.key)
        need_batch(probe, self.key, 2)

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`neighbour_kl`."""
        return neighbour_kl(student, teacher)
