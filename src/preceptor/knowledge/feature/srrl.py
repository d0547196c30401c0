"""SRRL: the student's features must work in the teacher's classifier."""

from collections.abc import Callable
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.blocks import TeacherClassifier, conv_norm_relu
from preceptor.knowledge.edges import one_tensor, teacher_classifier
from preceptor.knowledge.maps import spatial_mean
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


def softmax_regression(
    embedding: Tensor, teacher_embedding: Tensor, classify: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    r"""Distance of embeddings and of what the teacher's classifier makes of them.

    .. math:: \mathrm{mean}\big((e^s - e^t)^2\big), \quad \mathrm{mean}\big((W^t e^s - W^t e^t)^2\big)

    Shapes:
        embedding: (N, D), the student's brought to the teacher's width; teacher_embedding: (N, D)
        classify: (N, D) to (N, C), the teacher's classifier
        returns: feature matching (), softmax regression ()

    Source: Yang et al. 2021, "Knowledge distillation via softmax regression representation learning",
        with the L2 form of the regression.
    """
    return F.mse_loss(embedding, teacher_embedding), F.mse_loss(classify(embedding), classify(teacher_embedding))


class SRRLLoss(Loss):
    """Make the student's pooled map agree with the teacher's, also in the teacher's classifier (SRRL).

    The sum of the two terms of :func:`softmax_regression`, after a 1x1 convolution, batch normalisation and ReLU on
    the student's map. The classifier is the teacher's, constant to the gradient.

    Args:
        regression_weight: factor of the second term; 1 in the paper's code.

    Shapes:
        student: (N, C, H, W), its last map; teacher: (N, D), its embedding

    Source: Yang et al. 2021, "Knowledge distillation via softmax regression representation learning" (ICLR 2021).
    Differs: the teacher's embedding stands for its pooled last map; they are one for convolutional networks.
    """

    key: ClassVar[str] = "srrl"
    needs_shapes = True
    settings: ClassVar[dict[Task, Setting]] = {
        "classification": Setting(weight=1.0, student_tap="last", teacher_tap="embedding")
    }

    connector: nn.Sequential
    classifier: TeacherClassifier

    def __init__(self, regression_weight: float = 1.0) -> None:
        super().__init__()
        if regression_weight < 0:
            raise UserError(f"srrl: regression_weight must be at least 0, got {regression_weight}")
        self.regression_weight = regression_weight

    def build(self, probe: Probe) -> None:
        """Make the connector and find the teacher's classifier."""
        student, teacher = one_tensor(probe, self.key)
        if student.ndim != 4 or teacher.ndim != 2:
            raise UserError(
                f"srrl on {probe.edge} takes a map of the student and the teacher's embedding; the taps give shapes "
                f"{tuple(student.shape)} and {tuple(teacher.shape)}.\nLeave the taps out, or use `srrl_pooled`."
            )
        self.connector = nn.Sequential(*conv_norm_relu(student.shape[1], teacher.shape[1]))
        self.classifier = TeacherClassifier(teacher_classifier(probe, self.key))

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`softmax_regression`."""
        matching, regression = softmax_regression(spatial_mean(self.connector(student)), teacher, self.classifier)
        return matching + self.regression_weight * regression
