"""A cohort whose edges the recipe writes out one by one."""

from typing import Literal, Self

from pydantic import model_validator

from preceptor.plan.cast import TEACHER, Cast
from preceptor.plan.stage import Member, Plan, Stage
from preceptor.techniques.base import LossSpec, PerStudent, Technique, given, per_student, students_of


class EdgeSpec(LossSpec):
    """One transfer written out: ``source`` teaches ``target``.

    Args:
        source: who teaches: T, S1, S2, …
        target: who learns.
        stop_gradient: whether the source learns nothing from it.
    """

    source: str
    target: str
    stop_gradient: bool = True

    @model_validator(mode="after")
    def _has_two_ends(self) -> Self:
        if self.source == self.target:
            raise ValueError(f"source and target are both {self.source}: a network cannot teach itself; name two")
        return self


class Graph(Technique):
    """A cohort whose edges the recipe writes out one by one; a teacher that is given is frozen.

    Networks are called T, S1, S2, … A teacher that is not given trains with the others.

    Args:
        edges: who teaches whom, by which loss.

    Source: this package; the other techniques of one stage are graphs of this kind.
    """

    name: Literal["graph"]
    edges: tuple[EdgeSpec, ...]
    alpha: PerStudent | None = None
    teacher: str | None = None
    student_alone: str | None = None

    @model_validator(mode="after")
    def _has_edges(self) -> Self:
        if not self.edges:
            raise ValueError("edges: there is none, so nobody would teach anybody; write one, or use name: baseline")
        return self

    @property
    def has_teacher(self) -> bool:
        """Whether an edge names the teacher."""
        return any(TEACHER in (edge.source, edge.target) for edge in self.edges)

    @property
    def losses_named(self) -> tuple[LossSpec, ...]:
        """Those of the edges."""
        return self.edges

    def plan(self, cast: Cast) -> Plan:
        """One stage."""
        alphas = per_student("alpha", self.alpha, len(cast.students), default=1.0)
        teacher: dict[str, Member] = {}
        if self.has_teacher:
            teacher = {TEACHER: Member(network=cast.the_teacher(self.teacher), trains=self.teacher is None)}
        edges = [
            edge.edge(edge.source, edge.target, cast.task, stop_gradient=edge.stop_gradient) for edge in self.edges
        ]
        stage = Stage(
            name="main", members=teacher | students_of(cast, alphas), training=cast.training, edges=tuple(edges)
        )
        return Plan(
            stages=(stage,),
            students=tuple(cast.students),
            teacher=TEACHER if teacher else None,
            student_alone=given("student_alone", self.student_alone),
        )
