"""What the losses on masks share: maps and labels of one size, what a tap must hold."""

import torch.nn.functional as F
from torch import Tensor

from preceptor.errors import UserError
from preceptor.knowledge.base import Probe
from preceptor.knowledge.edges import as_maps


def resized_like(maps: Tensor, like: Tensor) -> Tensor:
    """``maps`` bilinearly resized (corners not aligned) to the height and width of ``like``."""
    size = like.shape[-2:]
    return maps if maps.shape[-2:] == size else F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def resized_labels(targets: Tensor, like: Tensor) -> Tensor:
    """Masks (N, H, W) resized to the height and width of ``like`` by taking the nearest label."""
    size = like.shape[-2:]
    if targets.shape[-2:] == size:
        return targets
    return F.interpolate(targets[:, None].float(), size=size, mode="nearest")[:, 0].long()


def check_logits_and_maps(probe: Probe, key: str, *, least: int, most: int | None = None, example: str) -> None:
    """Check that both taps hold logits of the same channels, then as many feature maps as a loss compares.

    Args:
        least, most: number of feature maps; None is any number.
        example: valid taps, for the error.

    Raises:
        UserError: they do not.
    """
    students, teachers = as_maps(probe.student), as_maps(probe.teacher)
    most = most or len(students) - 1
    wanted = f"name logits and then {least}{'' if most == least else ' or more'} feature map(s), for example {example}"
    for side, tensors in (("student_tap", students), ("teacher_tap", teachers)):
        if not least <= len(tensors) - 1 <= most or any(tensor.ndim != 4 for tensor in tensors):
            shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
            raise UserError(f"{key} on {probe.edge}: {side} gives {shapes}.\nFor both sides, {wanted}.")
    if len(students) != len(teachers) or students[0].shape[1] != teachers[0].shape[1]:
        raise UserError(
            f"{key} on {probe.edge}: student_tap gives {len(students)} tensors with {students[0].shape[1]} logits, "
            f"teacher_tap {len(teachers)} with {teachers[0].shape[1]}.\nFor both sides alike, {wanted}."
        )


def require_above_zero(key: str, **options: float) -> None:
    """UserError that names the first option that is not above 0."""
    for name, value in options.items():
        if not value > 0:
            raise UserError(f"{key}: {name} must be above 0, got {value}")


def require_not_negative(key: str, **options: float) -> None:
    """UserError that names the first option below 0."""
    for name, value in options.items():
        if not value >= 0:
            raise UserError(f"{key}: {name} must be 0 or more, got {value}")
