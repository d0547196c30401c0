"""A network with exits on its stages teaches itself, its last stage the shallower ones."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from preceptor.errors import UserError
from preceptor.plan.cast import TEACHER, Cast
from preceptor.plan.edge import Edge, LossUse
from preceptor.plan.frozen import FrozenMap
from preceptor.plan.network import Composed
from preceptor.plan.stage import Member, Plan, Stage
from preceptor.specs import Fraction, NetworkSpec, Task, Temperature, Weight
from preceptor.techniques.base import Technique, given

STUDENT = "S1"
"""Its own head is the last exit."""

TEMPERATURES = {"byot": 3.0, "tskd": 4.0}


class SelfDistill(Technique):
    """A student learns from its own last stage, which teaches exits on the stages before it (self-distillation).

    E1, E2, … are the exits, S1 the whole network, `ensemble_mean` their vote. All are of one epoch, in which S1 was
    best, so that one pass gives every answer; an exported exit holds only the stages that it needs.

    (1 - alpha) · the task of the student and of every exit + alpha · KD into every exit + beta · exit_features.

    Args:
        method: ``byot``: the student teaches its exits. ``tskd``: a frozen teacher teaches the student and its exits
            too.
        exits: stages that have one, 1 the finest; all but the last unless given.
        alpha: of the distillation, 1 - alpha of the tasks.
        temperature: 3 for ``byot``, 4 for ``tskd`` unless given.
        beta: of the pooled features that exits copy from the last stage, in batches of 128 images.
        teacher_share: of ``tskd``: share of alpha that comes from the teacher, half unless given; the rest comes from
            the student. 0 leaves the teacher out, which is ``byot``.
        teacher: of ``tskd``: a run folder or weights; without it one is trained first.
        student_alone: of ``tskd``: run folder of the baseline that the teacher is compared with.

    Source: Zhang et al. 2019, arXiv:1905.08094, in the weights of a public re-implementation (byot); after the
        abstract of Xu et al. 2022, whose equations were not at hand (tskd).
    Differs: the distillation is the KL divergence, whose gradient is that of the cross entropy with soft targets.
    """

    tasks: ClassVar[tuple[Task, ...]] = ("classification",)
    instead: ClassVar[str] = "an exit pools a stage and says nothing of pixels. Take kd_offline or ml for masks"

    name: Literal["self_distill"]
    method: Literal["byot", "tskd"] = "byot"
    exits: tuple[Annotated[int, Field(gt=0)], ...] = ()
    alpha: Fraction = 0.1
    temperature: Temperature | None = None
    beta: Weight = 1e-6
    teacher_share: Fraction | None = None
    teacher: str | None = None
    student_alone: str | None = None

    @model_validator(mode="after")
    def _teacher_has_a_place(self) -> Self:
        for option in ("teacher_share", "teacher", "student_alone") if self.method == "byot" else ():
            if getattr(self, option) is not None:
                raise ValueError(f"{option}: byot has no teacher; use `method: tskd`, or leave it out")
        if len(set(self.exits)) < len(self.exits):
            raise ValueError("exits: a stage is named twice")
        return self

    def require_students(self, count: int) -> None:
        """Refuse several."""
        if count > 1:
            raise ValueError(f"self_distill is about one student with exits, here are {count}; set `networks.count: 1`")

    @property
    def from_teacher(self) -> float:
        """Share of alpha that comes from a teacher."""
        if self.method == "byot":
            return 0.0
        return 0.5 if self.teacher_share is None else self.teacher_share

    @property
    def has_teacher(self) -> bool:
        """Whether a teacher takes part."""
        return self.from_teacher > 0

    def plan(self, cast: Cast) -> Plan:
        """One stage, after the teacher's own if there is one."""
        (student,) = cast.students.values()
        count = _stages(cast, student)
        exits = {f"E{stage}": stage for stage in sorted(self.exits or range(1, count))}
        members: dict[str, Member] = {}
        first: tuple[Stage, ...] = ()
        if self.has_teacher:
            teacher = cast.the_teacher(self.teacher)
            members[TEACHER] = cast.frozen(teacher)
            first = cast.before(teacher, instead="technique.teacher")
        members[STUDENT] = Member(network=cast.student(STUDENT), task_weight=1.0 - self.alpha)
        for name, stage in exits.items():
            network = Composed(name=name, kind="exit", reads=(STUDENT,), options=FrozenMap({"stage": stage}))
            members[name] = Member(network=network, task_weight=1.0 - self.alpha, kept_with=STUDENT)
        edges = self._edges(tuple(exits), last=f"stage{count}")
        main = Stage(name="main", members=members, training=cast.training, edges=tuple(edges))
        return Plan(
            stages=(*first, main),
            students=(*exits, STUDENT),
            teacher=TEACHER if self.has_teacher else None,
            student_alone=given("student_alone", self.student_alone),
            notes=("teacher_share is 0: no teacher takes part",) if self.teacher_share == 0 else (),
        )

    def _edges(self, exits: tuple[str, ...], last: str) -> list[Edge[LossUse]]:
        kd = LossUse("kd", temperature=self.temperature or TEMPERATURES[self.method])
        found = [
            Edge(source=TEACHER, target=name, loss=kd, weight=self.alpha * self.from_teacher)
            for name in ((STUDENT, *exits) if self.has_teacher else ())
        ]
        for name in exits:
            weight, features = self.alpha * (1.0 - self.from_teacher), LossUse("exit_features")
            found.append(Edge(source=STUDENT, target=name, loss=kd, weight=weight))
            found.append(Edge(source=STUDENT, target=name, loss=features, weight=self.beta, teacher_tap=last))
        return found


def _stages(cast: Cast, student: NetworkSpec) -> int:
    """How many stages the student has."""
    count = cast.facts.stages(student)
    if count < 2:
        raise UserError(
            f"self_distill: {student.architecture} has {count} stage, so there is none to put an exit on; "
            "choose another architecture"
        )
    return count
