"""Feature sharing: the student's map copies the teacher's."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import one_tensor
from preceptor.knowledge.ignored import mean_of_known
from preceptor.knowledge.maps import to_common_size
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def feature_mse(student: Tensor, teacher: Tensor, known: Tensor | None = None) -> Tensor:
    """Mean squared difference over all elements; the spatially larger map is average-pooled to the smaller.

    Shapes:
        student, teacher: (N, C, H, W) and (N, C, H', W'), or (N, D) both
        known: at the smaller size (N, H, W), True where a position counts; None counts all
        returns: ()

    Source: Niyaz, Sambyal & Bathula, "Leveraging different learning styles for improved knowledge
    distillation in biomedical imaging", feature term of equations 6 and 7.
    """
    student, teacher = to_common_size(student, teacher)
    return F.mse_loss(student, teacher) if known is None else mean_of_known((student - teacher).square(), known)


class FeatureMSELoss(Loss):
    """Match a feature map element by element; both ends need the same channels.

    Module form of :func:`feature_mse`. It has no adapter: a student-side projection trained by this
    loss alone could agree with the teacher on a constant, so widths are matched inside the networks.

    Source: Niyaz, Sambyal & Bathula, "Leveraging different learning styles for improved knowledge
    distillation in biomedical imaging", equations 6 and 7.
    """

    key: ClassVar[str] = "feature_mse"
    settings: ClassVar[dict[Task, Setting]] = {
        "classification": Setting(weight=0.8, student_tap="last", task_weight=0.2),
        "segmentation": Setting(weight=0.8, student_tap="decoder1", task_weight=0.2),
    }

    def build(self, probe: Probe) -> None:
        """Check that both ends have the same channels."""
        student, teacher = one_tensor(probe, self.key)
        if student.ndim != teacher.ndim or student.shape[1] != teacher.shape[1]:
            raise UserError(
                f"feature_mse on {probe.edge}: maps differ in channels: student {tuple(student.shape)}, "
                f"teacher {tuple(teacher.shape)}.\nLet the teacher carry an adapter (`technique.adapter: always`), "
                f"choose taps of equal width, or use `fitnet`, which brings its own adapter."
            )

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`feature_mse`."""
        student, teacher = to_common_size(student, teacher)
        return feature_mse(student, teacher, self.known(targets, teacher))
