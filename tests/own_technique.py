"""A made-up technique with a teacher, as a user writes one."""

OWN = '''
from preceptor.plan.cast import TEACHER, Cast
from preceptor.plan.edge import Edge, LossUse
from preceptor.plan.stage import Plan, Stage
from preceptor.techniques.base import Technique, students_of

print("run")


class Mine(Technique):
    """A teacher teaches at a temperature of three."""

    weight: float = 0.5
    teacher: str | None = None

    def plan(self, cast: Cast) -> Plan:
        teacher, kd = cast.the_teacher(self.teacher), LossUse("kd", temperature=3.0)
        main = Stage(
            name="main",
            members={TEACHER: cast.frozen(teacher), **students_of(cast)},
            training=cast.training,
            edges=tuple(Edge(source=TEACHER, target=name, loss=kd, weight=self.weight) for name in cast.students),
        )
        before = cast.before(teacher, instead="technique.teacher")
        return Plan(stages=(*before, main), students=tuple(cast.students), teacher=TEACHER)
'''
