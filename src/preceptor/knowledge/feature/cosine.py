"""Embeddings that point where the teacher's do."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.ignored import mean_of_known
from preceptor.knowledge.projector import on_grid_of, projector_for
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def cosine_distance(student: Tensor, teacher: Tensor) -> Tensor:
    r"""One minus the cosine of each pair of vectors.

    .. math:: 1 - \frac{s \cdot t}{\|s\| \, \|t\|}

    Shapes:
        student, teacher: (N, D), or (N, D, H, W) with a vector at each position
        returns: (N,), or (N, H, W)
    """
    return 1.0 - F.cosine_similarity(student, teacher, dim=1)


class CosineLoss(Loss):
    """Point where the teacher's embedding points, through a linear projector.

    The mean of :func:`cosine_distance` over samples, and over the positions of the teacher's grid for maps. No labels,
    no logits.

    Source: the cosine term of Ranzinger et al. 2024, arXiv:2312.06709 (AM-RADIO), section 3.3.
    """

    key: ClassVar[str] = "cosine"
    settings: ClassVar[dict[Task, Setting]] = {
        "classification": Setting(weight=1.0, student_tap="embedding"),
        "segmentation": Setting(weight=1.0, student_tap="last"),
    }
    needs_shapes: ClassVar[bool] = True

    projector: nn.Module

    def build(self, probe: Probe) -> None:
        """Make the projector."""
        self.projector = projector_for(probe, self.key)

    def side_by_side(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """The projected student on the teacher's grid, and the teacher."""
        return on_grid_of(self.projector(student), teacher), teacher

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`cosine_distance`."""
        distances = cosine_distance(*self.side_by_side(student, teacher))
        known = self.known(targets, teacher)
        return distances.mean() if known is None else mean_of_known(distances[:, None], known)
