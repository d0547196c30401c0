"""OFA: exits turn the maps of any architecture into class scores, which the teacher then corrects."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe, class_logits
from preceptor.knowledge.blocks import AdapterNorm
from preceptor.knowledge.edges import as_maps
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def adaptive_target_cross_entropy(
    student_logits: Tensor, teacher_logits: Tensor, targets: Tensor, *, exponent: float, temperature: float
) -> Tensor:
    r"""Cross entropy with the teacher's probabilities, the target's raised.

    .. math:: -\frac1N \sum_n \sum_c \big[ (p^t_c + 1_{c=y})^\epsilon - 1_{c=y} \big] \log p^s_c

    With an exponent of 1 this is the cross entropy with the soft targets. No factor T².

    Shapes:
        student_logits, teacher_logits: (N, C), C = 1 is the pair (0, z); targets: (N,)
        returns: ()

    Source: Hao et al. 2023, arXiv:2310.19444
    """
    student_logits, teacher_logits = class_logits(student_logits), class_logits(teacher_logits)
    is_target = torch.zeros_like(teacher_logits).scatter_(1, targets[:, None], 1.0)
    weights = ((teacher_logits / temperature).softmax(dim=1) + is_target).pow(exponent) - is_target
    return -(weights * F.log_softmax(student_logits / temperature, dim=1)).sum(dim=1).mean()


class OFALoss(Loss):
    """Give every student stage an exit and teach its class scores, for unlike architectures (one-for-all).

    The sum of :func:`adaptive_target_cross_entropy` over the student's own logits and an exit per stage. An exit has
    one separable 3x3 convolution of stride 2, with batch normalisation and ReLU, per deeper stage, doubling the
    channels up to those of the last stage, then global average pooling and a linear layer.

    Args:
        exponent: at least 1; raises the target's weight; 1.5 for ImageNet in the paper.
        temperature: of both class distributions.
        exit_weight: factor of the exits' sum next to the own logits.

    Shapes:
        student: stage maps (N, C, H, W), shallow to deep, then logits; teacher: logits

    Source: Hao et al. 2023, arXiv:2310.19444.
    Differs: one kind of exit also for token students, whose maps are their token grids; blocks are single
        separable convolutions.
    """

    key: ClassVar[str] = "ofa"
    needs_labels: ClassVar[bool] = True
    needs_shapes = True
    settings: ClassVar[dict[Task, Setting]] = {
        "classification": Setting(weight=1.0, student_tap=("stages", "logits"), teacher_tap="logits")
    }

    def __init__(self, exponent: float = 1.0, temperature: float = 1.0, exit_weight: float = 1.0) -> None:
        super().__init__()
        if exponent < 1:
            raise UserError(f"ofa: exponent must be at least 1, got {exponent}")
        if temperature <= 0:
            raise UserError(f"ofa: temperature must be above 0, got {temperature}")
        if exit_weight < 0:
            raise UserError(f"ofa: exit_weight must be at least 0, got {exit_weight}")
        self.exponent = exponent
        self.temperature = temperature
        self.exit_weight = exit_weight
        self.exits = nn.ModuleList()

    def build(self, probe: Probe) -> None:
        """Make an exit for each map."""
        *maps, logits = as_maps(probe.student)
        teacher = probe.teacher
        no_maps = not maps or any(one.ndim != 4 for one in maps)
        if no_maps or logits.ndim != 2 or isinstance(teacher, tuple) or teacher.ndim != 2:
            raise UserError(
                f"ofa on {probe.edge} reads maps and then the logits of the student, and the teacher's logits.\n"
                f"Leave the taps out, or write student_tap: [stages, logits] and teacher_tap: logits."
            )
        if class_logits(logits).shape[1] != class_logits(teacher).shape[1]:
            raise UserError(
                f"ofa on {probe.edge} compares class scores; the student has {logits.shape[1]}, "
                f"the teacher {teacher.shape[1]}.\nUse two networks with the same classes."
            )
        classes = class_logits(teacher).shape[1]
        widest = maps[-1].shape[1]
        self.exits = nn.ModuleList(
            _exit(one.shape[1], widest, classes, blocks=len(maps) - 1 - level) for level, one in enumerate(maps)
        )

    def forward(self, student: Sequence[Tensor], teacher: Tensor, targets: Tensor) -> Tensor:
        """Own logits plus exits."""
        *maps, logits = student
        exits = [self._taught(leave(one), teacher, targets) for leave, one in zip(self.exits, maps, strict=True)]
        return self._taught(logits, teacher, targets) + self.exit_weight * torch.stack(exits).sum()

    def _taught(self, logits: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        return adaptive_target_cross_entropy(
            logits, teacher, targets, exponent=self.exponent, temperature=self.temperature
        )


def _exit(channels: int, widest: int, classes: int, *, blocks: int) -> nn.Module:
    layers: list[nn.Module] = []
    for block in range(blocks):
        outputs = widest if block == blocks - 1 else min(2 * channels, widest)
        layers += [
            nn.Conv2d(channels, channels, 3, stride=2, padding=1, groups=channels, bias=False),
            nn.Conv2d(channels, outputs, 1, bias=False),
            AdapterNorm(outputs),
            nn.ReLU(),
        ]
        channels = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
