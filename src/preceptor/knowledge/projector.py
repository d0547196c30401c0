"""From a student's features to the width of a teacher's: a linear map for training alone, exported with nobody."""

import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Probe
from preceptor.knowledge.edges import one_tensor


def projector_for(probe: Probe, key: str) -> nn.Module:
    """A linear layer between embeddings, a 1x1 convolution between maps.

    Raises:
        UserError: one tap gives a vector and the other a map.
    """
    student, teacher = one_tensor(probe, key)
    if student.ndim != teacher.ndim or student.ndim not in (2, 4):
        raise UserError(
            f"{key} on {probe.edge} compares two embeddings (N, D) or two maps (N, C, H, W); the student's tap gives "
            f"shape {tuple(student.shape)}, the teacher's {tuple(teacher.shape)}.\nName `embedding` for both, or maps "
            "such as `last` for both."
        )
    if student.ndim == 2:
        return nn.Linear(student.shape[1], teacher.shape[1])
    return nn.Conv2d(student.shape[1], teacher.shape[1], 1)


def on_grid_of(student: Tensor, teacher: Tensor) -> Tensor:
    """A student's map at the positions of the teacher's, bilinear; embeddings and equal grids stay.

    Shapes:
        student: (N, C, H, W), teacher: (N, C', H', W')
        returns: (N, C, H', W')
    """
    if student.ndim != 4 or student.shape[2:] == teacher.shape[2:]:
        return student
    return F.interpolate(student, size=teacher.shape[2:], mode="bilinear")
