"""Correlation congruence: neighbours in the batch differ from the teacher in unrelated ways."""

from typing import ClassVar

from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import need_batch, one_tensor
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def consecutive_correlation(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Correlation of the absolute errors of consecutive samples.

    .. math:: \frac{1}{N - 1} \sum_{n < N} \sum_d \delta_{n,d} \, \delta_{n+1,d}, \quad \delta = |e^s - e^t|

    Neighbours are neighbours in the batch, so batches must be shuffled.

    Shapes:
        student, teacher: (N, D)
        returns: (), 0 for a single sample

    Source: Peng et al. 2019, arXiv:1904.01802, in the form of RepDistiller.
    """
    error = (student - teacher).abs()
    return (error[:-1] * error[1:]).sum() / max(len(error) - 1, 1)


class CorrelationLoss(Loss):
    """Make errors of neighbouring samples small together (correlation congruence).

    :func:`consecutive_correlation` of linear projections of both embeddings; both projections are trained.

    Args:
        width: of the projections.

    Shapes:
        student: (N, D), teacher: (N, D')

    Source: Peng et al. 2019, arXiv:1904.01802; width and weight of RepDistiller.
    """

    key: ClassVar[str] = "cc"
    needs_shapes = True
    settings: ClassVar[dict[Task, Setting]] = {"classification": Setting(weight=0.02, student_tap="embedding")}

    student_projector: nn.Linear
    teacher_projector: nn.Linear

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        if width < 1:
            raise UserError(f"cc: width must be at least 1, got {width}")
        self.width = width

    def build(self, probe: Probe) -> None:
        """Make the projections."""
        student, teacher = one_tensor(probe, self.key)
        if student.ndim != 2 or teacher.ndim != 2:
            raise UserError(f"cc on {probe.edge} compares embeddings (N, D); use the tap `embedding`.")
        need_batch(probe, self.key, 2)
        self.student_projector = nn.Linear(student.shape[1], self.width)
        self.teacher_projector = nn.Linear(teacher.shape[1], self.width)

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`consecutive_correlation`."""
        return consecutive_correlation(self.student_projector(student), self.teacher_projector(teacher))
