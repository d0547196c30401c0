"""Dynamic KD: a trained teacher goes on learning while it teaches, from its students too, held by what it was."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from preceptor.plan.cast import TEACHER, Cast
from preceptor.plan.edge import Edge, LossUse, Ramp
from preceptor.plan.stage import Member, Plan, Stage
from preceptor.specs import Fraction, Temperature, Weight
from preceptor.techniques.base import PerStudent, Technique, given, per_student, students_of

BEFORE = "T0"
"""The teacher as it was."""


class DynamicKD(Technique):
    """A trained teacher and its students learn from each other, the teacher slowly and near to what it was.

    Each student's loss is alpha · task + weight · KD from the teacher; the teacher's is its task
    + teacher_learns · KD from the students, shared among them, + anchor · KD from what it was.

    Args:
        weight: of what a student learns from the teacher.
        teacher_learns: of what the teacher learns from its students.
        warmup: share of the epochs over which teacher_learns rises to its full weight.
        anchor: of the teacher as it began, frozen, against drift.
        teacher_lr: factor of the learning rate for the teacher; 0 freezes it.
        teacher: a run folder or weights to take the teacher from; without it one is trained first.
        student_alone: run folder of the baseline that the teacher is compared with.

    Source: after Tu et al. 2022, of which only the abstract was at hand: the losses and their weights are this
        package's own reading.
    """

    name: Literal["dynamic_kd"]
    weight: Weight = 1.0
    alpha: PerStudent | None = None
    teacher_learns: Weight = 0.1
    warmup: Fraction = 0.1
    anchor: Weight = 0.5
    teacher_lr: Annotated[float, Field(ge=0)] = 0.1
    temperature: Temperature = 4.0
    direction: Literal["forward", "reverse"] = "forward"
    teacher: str | None = None
    student_alone: str | None = None

    @model_validator(mode="after")
    def _frozen_teacher_learns_nothing(self) -> Self:
        if not self.teacher_lr and (self.teacher_learns or self.anchor):
            raise ValueError(
                "teacher_lr 0 freezes the teacher, which then learns nothing: set teacher_learns and anchor to 0 too"
            )
        return self

    @property
    def has_teacher(self) -> bool:
        """A teacher always takes part."""
        return True

    def plan(self, cast: Cast) -> Plan:
        """One stage after the teacher's own."""
        alphas = per_student("alpha", self.alpha, len(cast.students), default=1.0)
        network = cast.the_teacher(self.teacher)
        before = cast.frozen(network)
        teachers = {
            TEACHER: Member(network=network, start=before.start, trains=self.teacher_lr > 0, lr=self.teacher_lr or 1.0)
        }
        if self.anchor:
            teachers[BEFORE] = before
        main = Stage(
            name="main",
            members=teachers | students_of(cast, alphas),
            training=cast.training,
            edges=tuple(self._edges(tuple(cast.students), cast.training.epochs)),
        )
        return Plan(
            stages=(*cast.before(network, instead="technique.teacher"), main),
            students=tuple(cast.students),
            teacher=TEACHER,
            student_alone=given("student_alone", self.student_alone),
        )

    def _edges(self, students: tuple[str, ...], epochs: int) -> list[Edge[LossUse]]:
        loss = LossUse("kd", temperature=self.temperature, direction=self.direction)
        found = [Edge(source=TEACHER, target=name, loss=loss, weight=self.weight) for name in students]
        if self.teacher_learns:
            ramp, weight = Ramp(epochs=self.warmup * epochs) if self.warmup else None, self.teacher_learns
            weight /= len(students)
            found += [Edge(source=name, target=TEACHER, loss=loss, weight=weight, ramp=ramp) for name in students]
        if self.anchor:
            found.append(Edge(source=BEFORE, target=TEACHER, loss=loss, weight=self.anchor))
        return found
