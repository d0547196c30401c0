"""Dynamic KD: a trained teacher goes on learning while it teaches, from its students too, held by what it was."""

from preceptor.cohort.stage import Member, Plan, Stage, Start
from preceptor.cohort.transfer import Ramp, Transfer
from preceptor.knowledge.response.soft_target import SoftTargetLoss
from preceptor.technique_specs import DynamicKDSpec
from preceptor.techniques.context import Context, learning, per_student


def dynamic_kd(context: Context) -> Plan:
    """A trained teacher and its students learn from each other, the teacher slowly and near to what it was.

    Options: weight, alpha, teacher_learns, warmup, anchor, teacher_lr, temperature, direction, teacher, student_alone.
    Source: after Tu et al. 2022, of which only the abstract was at hand: the losses and their weights are this
        package's own reading.
    """
    spec, training = context.recipe.technique, context.recipe.training
    assert isinstance(spec, DynamicKDSpec)
    students = tuple(context.recipe.networks.peers)
    alphas = per_student("alpha", spec.alpha, len(students), default=1.0)
    is_taken = context.takes_teacher()
    first = () if is_taken else (context.teacher_stage(),)
    build, start = context.teacher(), None if is_taken else Start("teacher", "T")
    members = {"T": Member(build=build, start=start, trains=spec.teacher_lr > 0, lr=spec.teacher_lr or 1.0)}
    if spec.anchor:
        members["T0"] = Member(build=build, start=start, trains=False)

    def edge(source: str, target: str, weight: float, ramp: Ramp | None = None) -> Transfer:
        loss = SoftTargetLoss(temperature=spec.temperature, direction=spec.direction)
        return Transfer(source=source, target=target, loss=loss, weight=weight, ramp=ramp)

    def edges() -> list[Transfer]:
        found = [edge("T", name, spec.weight) for name in students]
        if spec.teacher_learns:
            ramp = Ramp(epochs=spec.warmup * training.epochs) if spec.warmup else None
            found += [edge(name, "T", spec.teacher_learns / len(students), ramp) for name in students]
        if spec.anchor:
            found.append(edge("T0", "T", spec.anchor))
        return found

    members |= learning(context.students(), dict(zip(students, alphas, strict=True)))
    main = Stage(name="main", members=members, training=training, transfers=edges)
    return Plan(stages=(*first, main), students=students, teacher="T")
