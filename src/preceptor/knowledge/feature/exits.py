"""Self-distillation with exits: the features of shallow exits copy those of the last stage where either is active."""

from typing import ClassVar

import torch
from torch import Tensor

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import one_tensor
from preceptor.knowledge.maps import spatial_mean
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def active_feature_distance(exit_features: Tensor, last_features: Tensor) -> Tensor:
    r"""Squared distance where either feature is active, summed over everything, the batch too.

    .. math:: \sum (f_i - f)^2 \, [f_i > 0 \text{ or } f > 0]

    The sum grows with the batch; divide by N for a loss that does not. Does not detach.

    Shapes:
        exit_features, last_features: (N, D)
        returns: ()

    Source: Zhang et al. 2019, arXiv:1905.08094, as a public re-implementation has it.
    """
    active = (exit_features > 0) | (last_features > 0)
    return torch.where(active, (exit_features - last_features).square(), 0.0).sum()


class ExitFeatureLoss(Loss):
    """Match pooled features where either is active; both ends need the same channels (self-distillation's exits).

    :func:`active_feature_distance` for ``batch`` images: the mean over the images of this batch, times ``batch``. With
    a batch of that size it is the published sum; with any other, and shared among processes, it weighs the same.

    Args:
        batch: images over which the published weight sums.

    Shapes:
        student, teacher: (N, D), or (N, D, H, W), which is average-pooled

    Source: Zhang et al. 2019, arXiv:1905.08094; weight and batch of a public re-implementation.
    Differs: the sum is scaled to batches of 128, whatever the batch of the training.
    """

    key: ClassVar[str] = "exit_features"
    settings: ClassVar[dict[Task, Setting]] = {"classification": Setting(weight=1e-6, student_tap="embedding")}

    def __init__(self, batch: int = 128) -> None:
        super().__init__()
        if batch < 1:
            raise UserError(f"exit_features: batch must be at least 1, got {batch}")
        self.batch = batch

    def build(self, probe: Probe) -> None:
        """Check that both ends have the same channels."""
        student, teacher = one_tensor(probe, self.key)
        if student.shape[1] != teacher.shape[1]:
            raise UserError(
                f"exit_features on {probe.edge}: features differ in length: student {student.shape[1]}, teacher "
                f"{teacher.shape[1]}.\nChoose taps of equal width, or use `fitnet`, which brings its own adapter."
            )

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`active_feature_distance`."""
        distance = active_feature_distance(_pooled(student), _pooled(teacher))
        return distance * (self.batch / len(student))


def _pooled(features: Tensor) -> Tensor:
    return spatial_mean(features) if features.ndim == 4 else features
