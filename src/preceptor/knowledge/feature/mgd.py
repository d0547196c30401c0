"""Masked generative distillation: the student completes the teacher's map from a part of its own."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import one_map
from preceptor.knowledge.ignored import silenced
from preceptor.knowledge.maps import to_common_size
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task

_PUBLISHED_RATIO = {"channel": 0.15, "pixel": 0.75}


def kept(uniform: Tensor, *, ratio: float, mask: Literal["channel", "pixel"]) -> Tensor:
    """1 where a map is kept and 0 where it is masked, from uniform numbers in [0, 1).

    Channels are masked below ``ratio``, pixels above 1 - ``ratio``, as in the reference code.
    """
    return (uniform >= ratio if mask == "channel" else uniform <= 1.0 - ratio).to(uniform.dtype)


def generation_error(generated: Tensor, teacher: Tensor, known: Tensor | None = None) -> Tensor:
    """Squared error summed over channels and the positions that count, averaged over the batch.

    Shapes:
        generated, teacher: (N, C, H, W)
        known: (N, H, W), True where a position counts; None counts all
        returns: ()

    Source: Yang et al. 2022, arXiv:2205.01529
    """
    return silenced((generated - teacher).square(), known).sum() / len(teacher)


class MGDLoss(Loss):
    """Generate the teacher's map from the student's with a part masked (masked generative distillation).

    The student's map, brought to the teacher's channels by a 1x1 convolution where they differ, is masked at random
    and passed through 3x3 convolution, ReLU, 3x3 convolution; :func:`generation_error` compares the result.

    Args:
        mask: what is masked, whole ``channel``s or ``pixel``s; ``auto`` is channels for classes, pixels for masks.
        ratio: share that is masked; published 0.15 of the channels, 0.75 of the pixels.

    Shapes:
        student: (N, C, H, W), teacher: (N, C', H', W'); the larger is average-pooled

    Source: Yang et al. 2022, arXiv:2205.01529; the weights are the paper's alpha.
    """

    key: ClassVar[str] = "mgd"
    needs_shapes = True
    settings: ClassVar[dict[Task, Setting]] = {
        "classification": Setting(weight=7e-5, student_tap="last"),
        "segmentation": Setting(weight=2e-5, student_tap="decoder1"),
    }

    align: nn.Module
    generator: nn.Sequential

    def __init__(self, mask: Literal["auto", "channel", "pixel"] = "auto", ratio: float | None = None) -> None:
        super().__init__()
        if mask not in ("auto", "channel", "pixel"):
            raise UserError(f"mgd: mask must be `auto`, `channel` or `pixel`, got {mask!r}")
        if ratio is not None and not 0 <= ratio < 1:
            raise UserError(f"mgd: ratio must be at least 0 and below 1, got {ratio}")
        self.given_mask = mask
        self.given_ratio = ratio

    def build(self, probe: Probe) -> None:
        """Make the alignment and the generator."""
        student, teacher = one_map(probe, self.key)
        inputs, outputs = student.shape[1], teacher.shape[1]
        self.mask: Literal["channel", "pixel"]
        if self.given_mask == "auto":
            self.mask = "channel" if probe.task == "classification" else "pixel"
        else:
            self.mask = self.given_mask
        self.ratio = _PUBLISHED_RATIO[self.mask] if self.given_ratio is None else self.given_ratio
        self.align = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        self.generator = nn.Sequential(
            nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1)
        )

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """Draw a mask from torch's generator and compare."""
        size, channels = to_common_size(student, teacher)[0].shape[2:], teacher.shape[1]
        shape = (len(student), channels, 1, 1) if self.mask == "channel" else (len(student), 1, *size)
        student, teacher = to_common_size(student, teacher)
        uniform = torch.rand(shape, dtype=student.dtype, device=student.device)
        return self.compare(student, teacher, uniform, self.known(targets, teacher))

    def compare(self, student: Tensor, teacher: Tensor, uniform: Tensor, known: Tensor | None = None) -> Tensor:
        """The loss with the mask of given uniform numbers, (N, C', 1, 1) for channels or (N, 1, H, W) for pixels."""
        student, teacher = to_common_size(student, teacher)
        masked = self.align(student) * kept(uniform, ratio=self.ratio, mask=self.mask)
        return generation_error(self.generator(masked), teacher, known)
