"""Learning without labels from what foundation models see, then from the labels there are."""

from dataclasses import replace
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from preceptor.errors import UserError
from preceptor.knowledge.catalogue import entry_for
from preceptor.plan.cast import Cast
from preceptor.plan.edge import Edge, LossUse
from preceptor.plan.network import NetworkUse
from preceptor.plan.stage import Member, Plan, Stage, WarmStart
from preceptor.specs import Epochs, Images, TrainingSpec
from preceptor.techniques.base import LossSpec, students_of
from preceptor.techniques.teachers import TaughtBySeveral, teachers_of

FEATURES = "features"
"""The stage without labels."""


class DistilFeatures(TaughtBySeveral):
    """Students copy frozen teachers' features on every training image, labels unread; then they learn labels, if any.

    The split is by group alone. The first stage trains on the whole training part and keeps the weights whose features
    are nearest to the teachers' on the validation part; the second learns the labels that ``split.labels``,
    ``split.shots`` or ``split.train_fraction`` leave. Where none is read, there is no second stage. A teacher needs no
    head for these classes.

    Args:
        losses: what is copied, from each teacher to every student; losses on features, not on logits.
        teacher: folder or weights of the teacher, unless ``networks.teacher`` says where its weights are.
        teachers: the same for several, one for each of ``networks.teachers``.
        epochs: of the stage without labels; as many as ``training`` has unless given.
        batch_size, lr: of that stage; those of ``training`` unless given.
        keep_teaching: weight of the same losses while the labels are learned; 0 leaves the teachers out then.

    Source: after Filiot et al. 2025, arXiv:2501.16239 (H0-mini), and Ranzinger et al. 2024, arXiv:2312.06709
        (AM-RADIO), with other losses.
    """

    leaves_labels_unread: ClassVar[bool] = True
    learns_without_labels: ClassVar[bool] = True

    name: Literal["distil_features"]
    losses: tuple[LossSpec, ...] = (LossSpec(loss="cosine"),)
    epochs: Epochs | None = None
    batch_size: Images | None = None
    lr: float | None = None
    keep_teaching: float = 0.0
    teacher: str | None = None

    @model_validator(mode="after")
    def _of_features(self) -> Self:
        if not self.losses:
            raise ValueError("losses: there is none, so nothing would be copied; leave it out for `cosine`")
        if self.lr is not None and self.lr <= 0:
            raise ValueError(f"lr should be above 0, got {self.lr}")
        if self.keep_teaching < 0:
            raise ValueError(f"keep_teaching should be at least 0, got {self.keep_teaching}")
        if self.teacher and self.teachers:
            raise ValueError("give either `teacher` or a list of `teachers`")
        return self

    @property
    def losses_named(self) -> tuple[LossSpec, ...]:
        return self.losses

    def plan(self, cast: Cast) -> Plan:
        """The stage without labels, then that with them."""
        teachers = self._teachers(cast)
        frozen = {name: Member(network=one, trains=False, features_only=True) for name, one in teachers.items()}
        students = students_of(cast)
        pairs = [(teacher, student) for student in students for teacher in teachers]
        edges = tuple(self._edge(loss, *pair, cast) for pair in pairs for loss in self.losses)
        first = Stage(
            name=FEATURES,
            members={**frozen, **{name: replace(member, task_weight=0.0) for name, member in students.items()}},
            training=self._training(cast.training),
            edges=edges,
            unlabelled=True,
        )
        if not cast.has_labels:
            if self.keep_teaching:
                raise UserError(
                    "technique.keep_teaching: no label is read, so there is no stage in which any is learned"
                )
            return Plan(stages=(first,), students=tuple(students), notes=tuple(_notes(teachers)))
        main = Stage(
            name="main",
            members={
                **(frozen if self.keep_teaching else {}),
                **{name: replace(one, start=WarmStart(FEATURES, name)) for name, one in students.items()},
            },
            training=cast.training,
            edges=tuple(replace(edge, weight=edge.weight * self.keep_teaching) for edge in edges)
            if self.keep_teaching
            else (),
        )
        return Plan(stages=(first, main), students=tuple(students), notes=tuple(_notes(teachers)))

    def _teachers(self, cast: Cast) -> dict[str, NetworkUse]:
        if cast.teachers or self.teachers:
            return teachers_of(cast, self.teachers)
        teacher = cast.the_teacher(self.teacher)
        return {teacher.name: teacher}

    def _edge(self, loss: LossSpec, teacher: str, student: str, cast: Cast) -> Edge[LossUse]:
        edge = loss.edge(teacher, student, cast.task)
        entry = entry_for(loss.loss)
        if entry.needs_labels:
            raise UserError(
                f"technique.losses: {loss.loss} reads the label of every image, and distil_features reads none; take "
                "cosine, feature_smooth_l1, queue_kl, token_kl or rkd"
            )
        setting = entry.settings[cast.task]
        taps = [edge.student_tap or setting.student_tap, edge.teacher_tap or setting.teacher_tap or ""]
        if "logits" in taps:
            raise UserError(
                f"technique.losses: {loss.loss} compares logits, and distil_features copies features; take cosine, "
                "feature_smooth_l1, queue_kl, token_kl or rkd"
            )
        return edge

    def _training(self, training: TrainingSpec) -> TrainingSpec:
        changes = {"balance": None, "epochs": self.epochs or training.epochs}
        own = {"batch_size": self.batch_size, "lr": self.lr}
        return training.model_copy(update={**changes, **{key: value for key, value in own.items() if value}})


def _notes(teachers: dict[str, NetworkUse]) -> list[str]:
    return [
        f"{name} starts from random numbers (weights: none): its features are of no training."
        for name, one in teachers.items()
        if not one.given and one.spec is not None and one.spec.weights == "none"
    ]
