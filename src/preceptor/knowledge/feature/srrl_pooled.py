"""SRRL as the SimKD repository has it: the connector acts on the pooled vector."""

from typing import ClassVar

from torch import Tensor, nn

from preceptor.errors import UserError
from preceptor.knowledge.base import Loss, Probe
from preceptor.knowledge.blocks import TeacherClassifier, conv_norm_relu
from preceptor.knowledge.edges import one_tensor, teacher_classifier
from preceptor.knowledge.feature.srrl import softmax_regression
from preceptor.knowledge.setting import Setting
from preceptor.specs import Task


class PooledSRRLLoss(Loss):
    """Make the student's embedding agree with the teacher's, also in the teacher's classifier (SRRL, pooled).

    The sum of the two terms of :func:`~preceptor.knowledge.feature.srrl.softmax_regression`. Batch normalisation
    sees one value per sample, so it needs batches of some size.

    Shapes:
        student: (N, C), teacher: (N, D), embeddings

    Source: Yang et al. 2021, "Knowledge distillation via softmax regression representation learning", in the
        variant of the SimKD repository (Chen et al. 2022).
    """

    key: ClassVar[str] = "srrl_pooled"
    needs_shapes = True
    settings: ClassVar[dict[Task, Setting]] = {"classification": Setting(weight=1.0, student_tap="embedding")}

    connector: nn.Sequential
    classifier: TeacherClassifier

    def build(self, probe: Probe) -> None:
        """Make the connector and find the teacher's classifier."""
        student, teacher = one_tensor(probe, self.key)
        if student.ndim != 2 or teacher.ndim != 2:
            raise UserError(
                f"srrl_pooled on {probe.edge} compares embeddings; the taps give shapes {tuple(student.shape)} and "
                f"{tuple(teacher.shape)}.\nLeave the taps out, or use `srrl` for a map."
            )
        if probe.batch_size < 2:
            self.notes.append("batches of one leave the connector's batch normalisation without statistics")
        self.connector = nn.Sequential(*conv_norm_relu(student.shape[1], teacher.shape[1]))
        self.classifier = TeacherClassifier(teacher_classifier(probe, self.key))

    def forward(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """See :func:`~preceptor.knowledge.feature.srrl.softmax_regression`."""
        embedding = self.connector(student[:, :, None, None]).flatten(1)
        matching, regression = softmax_regression(embedding, teacher, self.classifier)
        return matching + regression
