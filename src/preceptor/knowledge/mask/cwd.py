"""Channel-wise distillation: each channel says where it looks."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.edges import one_map
from preceptor.knowledge.ignored import without_ignored
from preceptor.knowledge.mask.maps import require_above_zero, resized_like
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def channel_kl(student: Tensor, teacher: Tensor, *, temperature: float, known: Tensor | None = None) -> Tensor:
    r"""KL(teacher || student) of each channel's distribution over positions, times T², one value per channel.

    .. math:: T^2 \sum_i p^t_{nci} \log \frac{p^t_{nci}}{p^s_{nci}}, \quad
              p_{nci} = \frac{\exp(F_{nci} / T)}{\sum_j \exp(F_{ncj} / T)}

    Args:
        known: (N, H, W), True where a position counts; the distributions are over these. None counts all.

    Shapes:
        student, teacher: (N, C, H, W)
        returns: (N, C)
    """
    student, teacher = without_ignored(student, known), without_ignored(teacher, known)
    log_student = F.log_softmax(student.flatten(2) / temperature, dim=2)
    log_teacher = F.log_softmax(teacher.flatten(2) / temperature, dim=2)
    return temperature**2 * F.kl_div(log_student, log_teacher, reduction="none", log_target=True).sum(dim=2)


class CWDLoss(Loss):
    """Match each channel's distribution over positions (channel-wise distillation).

    The mean of :func:`channel_kl`. The distributions are over the positions that count.

    On feature maps (``student_tap: decoder``) the published weight is 50, and channels that differ in number
    go through a 1x1 convolution.

    Args:
        temperature: softening T > 0 over positions.

    Source: Shu et al. 2021, arXiv:2011.13256, as in the code of Yang et al. (TorchDistiller).
    Differs: a single foreground channel is compared as it is, not as two classes.
    """

    key: ClassVar[str] = "cwd"
    settings: ClassVar[dict[Task, Setting]] = {"segmentation": Setting(weight=3.0, student_tap="logits")}

    def __init__(self, temperature: float = 4.0) -> None:
        super().__init__()
        require_above_zero(self.key, temperature=temperature)
        self.temperature = temperature
        self.adapter: nn.Module = nn.Identity()

    def build(self, probe: Probe) -> None:
        """Make a 1x1 convolution to the teacher's channels where they differ."""
        student, teacher = one_map(probe, self.key)
        if student.shape[1] != teacher.shape[1]:
            self.adapter = nn.Conv2d(student.shape[1], teacher.shape[1], kernel_size=1, bias=False)

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`channel_kl`."""
        student, known = resized_like(self.adapter(student), teacher), self.known(targets, teacher)
        return channel_kl(student, teacher, temperature=self.temperature, known=known).mean()
