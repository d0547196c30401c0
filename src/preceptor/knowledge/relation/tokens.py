"""Which parts of an image are alike: the student's map has the teacher's similarities of tokens."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import one_map
from preceptor.knowledge.maps import unit
from preceptor.knowledge.projector import on_grid_of
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def token_similarity_kl(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    r"""KL(teacher || student) of how alike each token of an image is to its others, averaged over tokens and images.

    .. math:: p(z)_{ij} \propto \exp\big(\cos(z_i, z_j) / T\big), \quad
              \frac{1}{N L} \sum_{n i} \mathrm{KL}\big(p(t^n)_i \,\|\, p(s^n)_i\big)

    Shapes:
        student: (N, C, H, W), teacher: (N, C', H, W)
        returns: ()
    """
    mine, theirs = (_log_similarities(one, temperature) for one in (student, teacher))
    kl = F.kl_div(mine, theirs, reduction="none", log_target=True).sum(dim=2)  # (N, L)
    return kl.mean()


def _log_similarities(maps: Tensor, temperature: float) -> Tensor:
    tokens = unit(maps.flatten(2).mT, dim=2)  # (N, L, C)
    return F.log_softmax(tokens @ tokens.mT / temperature, dim=2)


class TokenSimilarityLoss(Loss):
    """Match how alike the places of an image are to one another; needs no equal widths, so no projector.

    Module form of :func:`token_similarity_kl`; the student's map is brought to the teacher's grid first.

    Args:
        temperature: of the similarities.

    Source: the local loss of lightly-train's distillation, version 3, by its description.
    """

    key: ClassVar[str] = "token_kl"
    settings: ClassVar[dict[Task, Setting]] = {
        "classification": Setting(weight=1.0, student_tap="last"),
        "segmentation": Setting(weight=1.0, student_tap="last"),
    }

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        if temperature <= 0:
            raise UserError(f"token_kl: temperature should be above 0, got {temperature}")
        self.temperature = temperature

    def build(self, probe: Probe) -> None:
        """Check that the teacher's map has places to compare."""
        _, teacher = one_map(probe, self.key)
        if teacher.shape[2] * teacher.shape[3] < 2:
            raise UserError(
                f"token_kl on {probe.edge}: the teacher's map has one position, so nothing is alike or unlike; choose "
                "an earlier stage, or larger images"
            )

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`token_similarity_kl`."""
        return token_similarity_kl(on_grid_of(student, teacher), teacher, temperature=self.temperature)
