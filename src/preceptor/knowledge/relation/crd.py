"""Contrastive representation distillation: the student's view of a sample is told from the teacher's of others."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import one_tensor
from preceptor.knowledge.maps import unit
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task

_EPS = 1e-7


def noise_contrast(scores: Tensor, *, samples: int) -> Tensor:
    r"""Negative log likelihood of telling the positive from noise.

    .. math:: -\frac1N \sum_n \Big[ \log h^+_n + \sum_k \log(1 - h^-_{n,k}) \Big], \quad
              h = \frac{x}{x + K / M}

    Shapes:
        scores: (N, 1 + K), above 0, the positive first
        samples: M, size of the training set
        returns: ()

    Source: Tian, Krishnan & Isola 2020, arXiv:1910.10699, in the form of its code.
    """
    noise = (scores.shape[1] - 1) / samples
    positive, negative = scores[:, 0], scores[:, 1:]
    right = (positive / (positive + noise + _EPS)).log().sum() + (noise / (negative + noise + _EPS)).log().sum()
    return -right / len(scores)


class CRDLoss(Loss):
    """Tell the teacher's view of a sample from its views of other classes, and back (CRD).

    Linear projections of both embeddings, of unit length, are compared with memory banks that hold the last
    projections of every training sample. Scores are exp(v · m / temperature) / Z with Z fixed by the first batch;
    :func:`noise_contrast` of student against teacher memory plus teacher against student memory. Negatives are drawn
    from other classes by torch's generator. Banks and Z are buffers, so they are saved and resumed.

    Args:
        width: of the projections.
        negatives: drawn for each sample.
        temperature: of the scores.
        momentum: share of the old entry when the memory is updated.

    Shapes:
        student: (N, D), teacher: (N, D'); ids: (N,) positions in the training set

    Memory: two banks of training samples x width, and batch x training samples per step.

    Source: Tian, Krishnan & Isola 2020, arXiv:1910.10699.
    Differs: negatives are always drawn with replacement; the code does so only where a data set has too few.
    """

    key: ClassVar[str] = "crd"
    needs_shapes = True
    settings: ClassVar[dict[Task, Setting]] = {"classification": Setting(weight=0.8, student_tap="embedding")}
    needs_ids: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = True

    student_projector: nn.Linear
    teacher_projector: nn.Linear
    student_memory: Tensor
    teacher_memory: Tensor
    student_scale: Tensor
    teacher_scale: Tensor
    by_class: Tensor
    starts: Tensor
    counts: Tensor

    def __init__(
        self, width: int = 128, negatives: int = 16384, temperature: float = 0.07, momentum: float = 0.5
    ) -> None:
        super().__init__()
        if width < 1 or negatives < 1:
            raise UserError(f"crd: width and negatives must be at least 1, got {width} and {negatives}")
        if temperature <= 0:
            raise UserError(f"crd: temperature must be above 0, got {temperature}")
        if not 0 <= momentum < 1:
            raise UserError(f"crd: momentum must be at least 0 and below 1, got {momentum}")
        self.width = width
        self.negatives = negatives
        self.temperature = temperature
        self.momentum = momentum

    def build(self, probe: Probe) -> None:
        """Make the projections and fill the memory banks at random."""
        student, teacher = one_tensor(probe, self.key)
        if student.ndim != 2 or teacher.ndim != 2:
            raise UserError(f"crd on {probe.edge} compares embeddings (N, D); use the tap `embedding`.")
        labels = probe.train_labels
        if labels is None or labels.min() == labels.max():
            raise UserError(
                f"crd on {probe.edge} takes its negatives from other classes; the training set has "
                f"{'no labels' if labels is None else 'one class only'}.\nUse another loss, for example `rkd`."
            )
        self.student_projector = nn.Linear(student.shape[1], self.width)
        self.teacher_projector = nn.Linear(teacher.shape[1], self.width)
        bound = 1.0 / math.sqrt(self.width / 3)
        for name in ("student_memory", "teacher_memory"):
            self.register_buffer(name, torch.empty(len(labels), self.width).uniform_(-bound, bound))
        for name in ("student_scale", "teacher_scale"):
            self.register_buffer(name, torch.zeros(()))  # 0: not yet fixed
        counts = labels.bincount(minlength=probe.classes)
        self.register_buffer("by_class", labels.argsort(stable=True), persistent=False)
        self.register_buffer("counts", counts, persistent=False)
        self.register_buffer("starts", counts.cumsum(0) - counts, persistent=False)

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor, *, ids: Tensor) -> Tensor:
        """Draw negatives, compare with the memories, then update them."""
        return self.contrast(student, teacher, ids, self.draw_negatives(targets))

    def draw_negatives(self, targets: Tensor) -> Tensor:
        """(N,) classes to (N, K) positions of training samples of other classes, each equally likely."""
        others = (len(self.by_class) - self.counts[targets])[:, None]
        uniform = torch.rand(len(targets), self.negatives, dtype=torch.float64, device=targets.device)
        rank = (uniform * others).long().clamp(max=others - 1)
        behind = rank >= self.starts[targets][:, None]
        return self.by_class[rank + torch.where(behind, self.counts[targets][:, None], 0)]

    def contrast(self, student: Tensor, teacher: Tensor, ids: Tensor, negatives: Tensor) -> Tensor:
        """The loss with given negatives, (N, K) positions in the training set."""
        mine, theirs = unit(self.student_projector(student)), unit(self.teacher_projector(teacher))
        index = torch.cat((ids[:, None], negatives), dim=1)  # (N, 1 + K)
        samples = len(self.student_memory)
        mine_scores = self._scores(mine, self.teacher_memory, index)
        theirs_scores = self._scores(theirs, self.student_memory, index)
        student_scale = _fixed(self.student_scale, mine_scores, samples)
        teacher_scale = _fixed(self.teacher_scale, theirs_scores, samples)
        if self.training:
            self.student_scale, self.teacher_scale = student_scale, teacher_scale
            self.student_memory = self._remembered(self.student_memory, mine, ids)
            self.teacher_memory = self._remembered(self.teacher_memory, theirs, ids)
        student_loss = noise_contrast(mine_scores / student_scale, samples=samples)
        return student_loss + noise_contrast(theirs_scores / teacher_scale, samples=samples)

    def _scores(self, vectors: Tensor, memory: Tensor, index: Tensor) -> Tensor:
        """exp(v · m / temperature) of the indexed memories; all products at once need less room than all rows."""
        return ((vectors @ memory.T).gather(1, index) / self.temperature).exp()

    @torch.no_grad()
    def _remembered(self, memory: Tensor, vectors: Tensor, ids: Tensor) -> Tensor:
        """A new bank, since the old one is still needed for the gradient."""
        fresh = unit(self.momentum * memory[ids] + (1.0 - self.momentum) * vectors)
        return memory.index_copy(0, ids, fresh)


def _fixed(scale: Tensor, scores: Tensor, samples: int) -> Tensor:
    """The normaliser Z: the mean score of the first batch times the size of the training set, unchanged later."""
    return torch.where(scale > 0, scale, scores.detach().mean() * samples)
