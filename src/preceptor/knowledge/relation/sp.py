"""Similarity-preserving distillation: what is alike for the teacher is alike for the student."""

from typing import ClassVar

from torch import Tensor

from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import need_batch, one_tensor
from preceptor.knowledge.maps import unit
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def similarity_gap(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Squared difference of the batch's similarity matrices.

    .. math:: \frac{1}{N^2} \| \tilde G^t - \tilde G^s \|_F^2, \quad \tilde G = \text{rows of } F F^\top
              \text{ of unit length}

    Shapes:
        student: (N, ...), teacher: (N, ...); everything after N is flattened and free
        returns: ()

    Source: Tung & Mori 2019, arXiv:1907.09682.
    """
    return (_rows(teacher) - _rows(student)).square().mean()


def _rows(features: Tensor) -> Tensor:
    flat = features.flatten(1)
    return unit(flat @ flat.T)  # (N, N)


class SimilarityLoss(Loss):
    """Match which samples of a batch are alike (similarity-preserving distillation).

    Module form of :func:`similarity_gap`.

    Source: Tung & Mori 2019, arXiv:1907.09682; tap and weight of RepDistiller.
    """

    key: ClassVar[str] = "sp"
    settings: ClassVar[dict[Task, Setting]] = {"classification": Setting(weight=3000.0, student_tap="last")}

    def build(self, probe: Probe) -> None:
        """Check the batch."""
        one_tensor(probe, self.key)
        need_batch(probe, self.key, 2)

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`similarity_gap`."""
        return similarity_gap(student, teacher)
