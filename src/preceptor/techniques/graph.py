"""A cohort whose edges the recipe writes out one by one."""

from preceptor.cohort.stage import Member, Plan, Stage
from preceptor.cohort.transfer import Transfer
from preceptor.technique_specs import GraphSpec
from preceptor.techniques.context import Context, learning, per_student, transfer


def graph(context: Context) -> Plan:
    """A cohort whose edges the recipe writes out one by one; a teacher that is given is frozen.

    Options: edges, alpha, teacher, student_alone.
    Source: this package; the other techniques of one stage are graphs of this kind.
    """
    recipe, spec = context.recipe, context.recipe.technique
    assert isinstance(spec, GraphSpec)
    students = list(recipe.networks.peers)
    alphas = per_student("alpha", spec.alpha, len(students), default=1.0)

    def edges() -> list[Transfer]:
        return [
            transfer(edge, source=edge.source, target=edge.target, task=recipe.task, stop_gradient=edge.stop_gradient)
            for edge in spec.edges
        ]

    members = learning(context.students(), dict(zip(students, alphas, strict=True)))
    teacher: dict[str, Member] = {}
    if spec.has_teacher:
        teacher = {"T": Member(build=context.teacher(), trains=spec.teacher is None)}
    stage = Stage(name="main", members={**teacher, **members}, training=recipe.training, transfers=edges)
    return Plan(stages=(stage,), students=tuple(students), teacher="T" if teacher else None)
