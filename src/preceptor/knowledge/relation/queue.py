"""Neighbours among past images: the student finds the teacher's in a queue of its embeddings."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import one_tensor
from preceptor.knowledge.maps import unit
from preceptor.knowledge.projector import projector_for
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task

_NOBODY = -1e4  # as a logit: its exponential is 0, and its difference to another such is finite


def neighbour_kl_in(
    student: Tensor, teacher: Tensor, keys: Tensor, *, temperature: float, known: Tensor | None = None
) -> Tensor:
    r"""KL(teacher || student) of the distributions of neighbours among ``keys``, averaged over samples.

    .. math:: p(z)_k \propto \exp\big(\cos(z, q_k) / T\big), \quad
              \frac{1}{N} \sum_n \mathrm{KL}\big(p(t_n) \,\|\, p(s_n)\big)

    Shapes:
        student, teacher: (N, D); keys: (K, D); known: (K,), False for keys that are none; None takes all
        returns: ()
    """
    keys = unit(keys)
    alike = [unit(one) @ keys.T / temperature for one in (student, teacher)]  # (N, K)
    if known is not None:
        alike = [one.masked_fill(~known, _NOBODY) for one in alike]
    mine, theirs = (F.log_softmax(one, dim=1) for one in alike)
    return F.kl_div(mine, theirs, reduction="batchmean", log_target=True)


class QueueLoss(Loss):
    """Match the teacher's neighbours among the images of this batch and of those before it.

    Module form of :func:`neighbour_kl_in`; the keys are the teacher's embeddings of the batch and of the ``size``
    images before it. The queue is part of the run's checkpoints, so a resumed run finds it as it was.

    Args:
        size: how many past embeddings are kept.
        temperature: of the distributions.

    Source: Fang et al. 2021, arXiv:2101.04731 (SEED), equation 4.
    Differs: the batch itself is among the keys, so that the first steps have neighbours too.
    """

    key: ClassVar[str] = "queue_kl"
    settings: ClassVar[dict[Task, Setting]] = {"classification": Setting(weight=1.0, student_tap="embedding")}
    needs_shapes: ClassVar[bool] = True

    projector: nn.Module
    queue: Tensor
    is_key: Tensor

    def __init__(self, size: int = 1024, temperature: float = 0.07) -> None:
        super().__init__()
        if size < 1 or temperature <= 0:
            raise UserError(f"queue_kl: size should be at least 1 and temperature above 0, got {size}, {temperature}")
        self.size = size
        self.temperature = temperature

    def build(self, probe: Probe) -> None:
        """Make the projector and an empty queue."""
        _, teacher = one_tensor(probe, self.key)
        if teacher.ndim != 2:
            raise UserError(f"queue_kl on {probe.edge} compares embeddings (N, D); use the tap `embedding`.")
        self.projector = projector_for(probe, self.key)
        self.register_buffer("queue", torch.zeros(self.size, teacher.shape[1]))
        self.register_buffer("is_key", torch.zeros(self.size, dtype=torch.bool))

    def side_by_side(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """The projected student, and the teacher."""
        return self.projector(student), teacher

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`neighbour_kl_in`; in training the batch enters the queue."""
        keys = torch.cat([teacher.detach().to(self.queue), self.queue])
        known = torch.cat([self.is_key.new_ones(len(teacher)), self.is_key])
        loss = neighbour_kl_in(
            self.projector(student), teacher, keys.to(teacher), temperature=self.temperature, known=known
        )
        if self.training:
            self.queue = keys[: self.size].clone()
            self.is_key = known[: self.size].clone()
        return loss
