"""SimKD: the student borrows the teacher's classifier and learns only the features that it wants."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.blocks import FrozenClassifier
from preceptor.knowledge.edges import teacher_classifier
from preceptor.knowledge.maps import spatial_mean, to_common_size
from preceptor.knowledge.setting import Setting
from preceptor.networks.outputs import Knowledge
from preceptor.specs import Task


def projector(inputs: int, outputs: int, *, factor: int) -> list[nn.Module]:
    """Layers from the student's last map to the teacher's channels.

    1x1 to 1/factor of the teacher's width, 3x3, 1x1 to its width; each with batch normalisation and ReLU, none with
    bias. Plain layers only, since they are saved with the student.
    """
    middle = max(outputs // factor, 1)
    return [*_unit(inputs, middle, 1), *_unit(middle, middle, 3), *_unit(middle, outputs, 1)]


def _unit(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


class SimKDLoss(Loss):
    r"""Copy the teacher's last map and classify with the teacher's own classifier (SimKD).

    .. math:: \mathrm{mean}\big( (P(F^s) - F^t)^2 \big)

    The student's own classifier gives way to the projector P, pooling and the teacher's classifier, which are
    exported with it. There is no label signal: the published weight of the task loss is 0.

    Where the teacher's embedding is not its average-pooled last map (a ViT with a class token), its classifier has
    never seen such an average; the pooled projection then copies the embedding instead of the map.

    Args:
        factor: the projector's middle layers have 1/factor of the teacher's channels; 2 in the paper.

    Shapes:
        student: (N, C, H, W), its last map; teacher: (N, D, H', W') and (N, D), its last map and its embedding

    Source: Chen et al. 2022, arXiv:2203.14001.
    Differs: the rule for embeddings that are no average.
    """

    key: ClassVar[str] = "simkd"
    needs_shapes = True
    settings: ClassVar[dict[Task, Setting]] = {
        "classification": Setting(weight=1.0, student_tap="last", teacher_tap=("last", "embedding"), task_weight=0.0)
    }

    projector: nn.Sequential
    classifier: FrozenClassifier

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        if factor < 1:
            raise UserError(f"simkd: factor must be at least 1, got {factor}")
        self.factor = factor
        self.copies_embedding = False

    def build(self, probe: Probe) -> None:
        """Make the projector, copy the teacher's classifier, and see what that classifier reads."""
        student, teacher = probe.student, probe.teacher
        shapes = [tensor.ndim for tensor in teacher] if isinstance(teacher, tuple) else []
        if not isinstance(student, Tensor) or student.ndim != 4 or shapes != [4, 2]:
            raise UserError(
                f"simkd on {probe.edge} reads the student's last map and the teacher's last map and embedding, "
                f"since the exported student ends in them.\nLeave the taps out."
            )
        last, embedding = teacher
        size = to_common_size(student, last)[0].shape[2:]
        if probe.batch_size < 2 and size.numel() == 1:
            raise UserError(
                f"simkd on {probe.edge}: the last map has one position, and batch normalisation in the projector then "
                f"needs at least two samples per batch.\nUse a larger batch or larger images."
            )
        pooling = [nn.AdaptiveAvgPool2d((size[0], size[1]))] if student.shape[2:] != size else []
        layers = projector(student.shape[1], embedding.shape[1], factor=self.factor)
        self.projector = nn.Sequential(*pooling, *layers)
        self.classifier = FrozenClassifier(teacher_classifier(probe, self.key))
        if probe.teacher_learns:
            self.notes.append("the teacher trains along, but the student keeps its classifier as it is at the start")
        self.copies_embedding = last.shape[1] != embedding.shape[1] or not torch.allclose(
            spatial_mean(last), embedding, rtol=1e-3, atol=1e-4
        )
        if self.copies_embedding:
            self.notes.append("the teacher's embedding is not its pooled last map, so the embedding is copied")

    def head(self) -> nn.Module:
        """The projector, whose layers this loss trains, pooling, and the teacher's classifier."""
        return nn.Sequential(*self.projector, nn.AdaptiveAvgPool2d(1), nn.Flatten(), self.classifier.classifier)

    def forward(self, student: Tensor, teacher: Knowledge, targets: Tensor) -> Tensor:
        """Mean squared error of the projected map."""
        last, embedding = teacher
        projected = self.projector(student)
        if self.copies_embedding:
            return F.mse_loss(spatial_mean(projected), embedding)
        return F.mse_loss(*to_common_size(projected, last))
