"""Each network by itself."""

from typing import ClassVar, Literal

from preceptor.plan.cast import TEACHER, Cast, keeping_snapshots
from preceptor.plan.stage import Plan, Stage
from preceptor.techniques.base import students_of
from preceptor.techniques.mixture import Mixture


class Baseline(Mixture):
    """Each network learns its task alone: what everything else is compared with.

    Source: plain supervised training.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"network", "snapshots_every"})

    name: Literal["baseline"]

    @property
    def has_teacher(self) -> bool:
        """Whether it is the teacher that is trained."""
        return self.is_lone_teacher

    @property
    def is_lone_teacher(self) -> bool:
        return self.network == "teacher"

    @property
    def shared(self) -> str | None:
        return None

    def plan(self, cast: Cast) -> Plan:
        """One stage of the students, or of the teacher."""
        if not self.is_lone_teacher:
            stage = Stage(name="main", members=students_of(cast), training=cast.training)
            return Plan(stages=(stage,), students=stage.learners)
        stage = cast.alone(self.teacher_network(cast))
        if self.snapshots_every:
            stage = keeping_snapshots(stage, self.snapshots_every)
        return Plan(stages=(stage,), students=(TEACHER,))
