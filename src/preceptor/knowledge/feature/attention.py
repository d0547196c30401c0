"""Attention transfer: the student is active where the teacher is."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import as_maps, paired_maps
from preceptor.knowledge.ignored import KnownIn, all_known, mean_of_known, silenced
from preceptor.knowledge.maps import attention_map, to_common_size
from preceptor.knowledge.setting import Setting
from preceptor.networks.outputs import Knowledge
from preceptor.specs import Task


def attention_transfer(
    students: Sequence[Tensor],
    teachers: Sequence[Tensor],
    *,
    exponent: int = 2,
    known_in: KnownIn = all_known,
) -> Tensor:
    r"""Squared difference of attention maps, summed over the levels.

    .. math:: \sum_k \mathrm{mean}\big( (Q(F^s_k) - Q(F^t_k))^2 \big), \quad
              Q(F) = v / \|v\|, \; v = \mathrm{mean}_c F^p

    The spatially larger map is average-pooled before the power. An even exponent ignores signs.

    Args:
        known_in: map -> (N, H, W), True where a position counts, or None where all do. Attention is 0 elsewhere,
            and the mean is over these.

    Shapes:
        students, teachers: as many maps (N, C, H, W) each, channels and sizes free
        returns: (), mean over samples and positions

    Source: Zagoruyko & Komodakis 2017, arXiv:1612.03928, normalised as in RepDistiller.
    """
    losses = []
    for student, teacher in zip(students, teachers, strict=True):
        student, teacher = to_common_size(student, teacher)
        known = known_in(teacher)  # now that both are of one size
        student, teacher = silenced(student, known), silenced(teacher, known)
        gap = attention_map(student, exponent=exponent), attention_map(teacher, exponent=exponent)
        if known is None:
            losses.append(F.mse_loss(*gap))
        else:
            losses.append(mean_of_known((gap[0] - gap[1]).square().view(known.shape), known))
    return torch.stack(losses).sum()


class AttentionTransferLoss(Loss):
    """Match where maps are active, whatever their channels (attention transfer).

    Module form of :func:`attention_transfer`.

    Args:
        exponent: even power p of the activations; 2 in the paper.

    Source: Zagoruyko & Komodakis 2017, arXiv:1612.03928; weights of RepDistiller and, for masks, CIRKD.
    """

    key: ClassVar[str] = "at"
    settings: ClassVar[dict[Task, Setting]] = {
        "classification": Setting(weight=1000.0, student_tap="stages"),
        "segmentation": Setting(weight=10000.0, student_tap="decoder"),
    }

    def __init__(self, exponent: int = 2) -> None:
        super().__init__()
        if exponent < 2 or exponent % 2:
            raise UserError(f"at: exponent must be even and at least 2, got {exponent}")
        self.exponent = exponent

    def build(self, probe: Probe) -> None:
        """Check that the maps pair up."""
        paired_maps(probe, self.key)

    def forward(self, student: Knowledge, teacher: Knowledge, targets: Tensor) -> Tensor:
        """See :func:`attention_transfer`."""
        return attention_transfer(
            as_maps(student), as_maps(teacher), exponent=self.exponent, known_in=partial(self.known, targets)
        )
