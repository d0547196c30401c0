"""SemCKD: attention decides which teacher stage teaches which student stage."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.blocks import conv_norm_relu
from preceptor.knowledge.edges import as_maps, need_batch
from preceptor.knowledge.maps import to_common_size, unit
from preceptor.knowledge.setting import Setting
from preceptor.networks.outputs import Knowledge
from preceptor.specs import Task


def gram_rows(feature_map: Tensor) -> Tensor:
    """Products of each sample with every sample of the batch: (N, C, H, W) to (N, N)."""
    flat = feature_map.flatten(1)
    return flat @ flat.T


def matched_distance(attention: Tensor, errors: Sequence[Sequence[Tensor]]) -> Tensor:
    r"""Errors of all pairs of stages, weighted per sample.

    .. math:: \frac{1}{N S} \sum_{n,s,t} a_{n,s,t} \, e_{n,s,t}

    Shapes:
        attention: (N, S, T), summing to 1 over T
        errors: S rows of T tensors (N,)
        returns: ()

    Source: Chen et al. 2021, arXiv:2012.03236
    """
    stacked = torch.stack([torch.stack(list(row), dim=1) for row in errors], dim=1)  # (N, S, T)
    return (attention * stacked).sum() / (attention.shape[0] * attention.shape[1])


class SemCKDLoss(Loss):
    """Match every student stage to a learned mixture of teacher stages (semantic calibration, SemCKD).

    Queries of the student stages and keys of the teacher stages come from :func:`gram_rows` through a two-layer
    perceptron; their products, softmaxed over the teacher's stages, weight the squared error of each pair in
    :func:`matched_distance`. The perceptrons are sized by the batch: it cannot change, and incomplete ones are dropped.

    Args:
        factor: the embeddings have batch size / factor entries.
        widest: most channels inside a regressor, whose middle is twice the teacher's width otherwise.

    Shapes:
        student, teacher: any number of maps (N, C, H, W) each; the larger of a pair is average-pooled

    Source: Chen et al. 2021, arXiv:2012.03236; weight of its repository.
    Differs: ``widest``, since 3x3 convolutions of twice the teacher's width would have 830 million weights
        between a ResNet50 and a ResNet18; how the perceptrons start.
    """

    key: ClassVar[str] = "semckd"
    needs_shapes = True
    settings: ClassVar[dict[Task, Setting]] = {"classification": Setting(weight=400.0, student_tap="stages")}
    keeps_batch: ClassVar[bool] = True

    def __init__(self, factor: int = 4, widest: int = 512) -> None:
        super().__init__()
        if factor < 1:
            raise UserError(f"semckd: factor must be at least 1, got {factor}")
        if widest < 1:
            raise UserError(f"semckd: widest must be at least 1, got {widest}")
        self.factor = factor
        self.widest = widest
        self.queries = nn.ModuleList()
        self.keys = nn.ModuleList()
        self.regressors = nn.ModuleList()

    def build(self, probe: Probe) -> None:
        """Make the perceptrons for this batch size and a regressor for each pair of stages."""
        need_batch(probe, self.key, self.factor)
        students, teachers = as_maps(probe.student), as_maps(probe.teacher)
        if any(tensor.ndim != 4 for tensor in students + teachers):
            raise UserError(f"semckd on {probe.edge} compares feature maps; use the tap `stages` or names of maps.")
        if probe.batch_size < 2 * self.factor:
            self.notes.append(
                f"with batches below {2 * self.factor} the embeddings have one entry, so the attention cannot learn"
            )
        self.batch_size = probe.batch_size
        self.queries = nn.ModuleList(_perceptron(probe.batch_size, self.factor) for _ in students)
        self.keys = nn.ModuleList(_perceptron(probe.batch_size, self.factor) for _ in teachers)
        self.regressors = nn.ModuleList(
            nn.ModuleList(_regressor(s.shape[1], t.shape[1], self.widest) for t in teachers) for s in students
        )

    def forward(self, student: Knowledge, teacher: Knowledge, targets: Tensor) -> Tensor:
        """See :func:`matched_distance`."""
        students, teachers = as_maps(student), as_maps(teacher)
        return matched_distance(self.attention(students, teachers), self._errors(students, teachers))

    def attention(self, students: Sequence[Tensor], teachers: Sequence[Tensor]) -> Tensor:
        """How much each teacher stage matters to each student stage, per sample: (N, S, T)."""
        if len(students[0]) != self.batch_size:
            raise ValueError(f"semckd was built for batches of {self.batch_size}, got one of {len(students[0])}")
        queries = [unit(embed(gram_rows(one))) for embed, one in zip(self.queries, students, strict=True)]
        keys = [unit(embed(gram_rows(one))) for embed, one in zip(self.keys, teachers, strict=True)]
        return (torch.stack(queries, dim=1) @ torch.stack(keys, dim=2)).softmax(dim=2)

    def _errors(self, students: Sequence[Tensor], teachers: Sequence[Tensor]) -> list[list[Tensor]]:
        rows: list[list[Tensor]] = []
        for student, regressors in zip(students, self.regressors, strict=True):
            assert isinstance(regressors, nn.ModuleList)
            rows.append([])
            for teacher, regress in zip(teachers, regressors, strict=True):
                source, wanted = to_common_size(student, teacher)
                rows[-1].append(F.mse_loss(regress(source), wanted, reduction="none").mean(dim=(1, 2, 3)))
        return rows


def _perceptron(batch_size: int, factor: int) -> nn.Module:
    """Two linear layers with a ReLU between.

    Rows of products of non-negative maps are nearly parallel, so a hidden unit is active for all of them or for none.
    The second half of the units starts as the negative of the first: half of them are active whatever comes.
    """
    width = batch_size // factor
    first = nn.Linear(batch_size, 2 * width)
    with torch.no_grad():
        for parameter in (first.weight, first.bias):
            parameter[width:] = -parameter[:width]
    return nn.Sequential(first, nn.ReLU(), nn.Linear(2 * width, width))


def _regressor(inputs: int, outputs: int, widest: int) -> nn.Module:
    middle = min(2 * outputs, widest)
    return nn.Sequential(
        *conv_norm_relu(inputs, middle),
        *conv_norm_relu(middle, middle, kernel=3),
        nn.Conv2d(middle, outputs, 1, bias=False),
    )
