"""A network with exits on its stages teaches itself, its last stage the shallower ones."""

from functools import partial

from preceptor.built.exits import Exit
from preceptor.cohort.stage import Member, Plan, Stage, Start
from preceptor.cohort.transfer import Transfer
from preceptor.errors import UserError
from preceptor.knowledge.feature.exits import ExitFeatureLoss
from preceptor.knowledge.response.soft_target import SoftTargetLoss
from preceptor.networks.network import Network
from preceptor.specs import NetworkSpec
from preceptor.technique_specs import SelfDistillSpec
from preceptor.techniques.context import Context

STUDENT = "S1"
"""Its own head is the last exit."""

TEMPERATURES = {"byot": 3.0, "tskd": 4.0}


def self_distill(context: Context) -> Plan:
    """A student learns from its own last stage, which teaches exits on the stages before it (self-distillation).

    E1, E2, … are the exits, S1 the whole network, `ensemble_mean` their vote. All are of one epoch, in which S1 was
    best, so that one pass gives every answer; an exported exit holds only the stages that it needs.

    Options: method, exits, alpha, temperature, beta, teacher_share, teacher, student_alone.
    Source: Zhang et al. 2019, arXiv:1905.08094, in the weights of a public re-implementation (byot); after the
        abstract of Xu et al. 2022, whose equations were not at hand (tskd).
    Differs: the distillation is the KL divergence, whose gradient is that of the cross entropy with soft targets.
    """
    recipe, spec = context.recipe, context.recipe.technique
    assert isinstance(spec, SelfDistillSpec)
    (student,) = recipe.networks.peers.values()
    count = _stages(context, student)
    exits = {f"E{stage}": stage for stage in sorted(spec.exits or range(1, count))}
    taught = (STUDENT, *exits)

    def edges() -> list[Transfer]:
        temperature = spec.temperature or TEMPERATURES[spec.method]

        def kd(source: str, target: str, share: float) -> Transfer:
            return Transfer(source=source, target=target, loss=SoftTargetLoss(temperature), weight=spec.alpha * share)

        found = [kd("T", name, spec.from_teacher) for name in (taught if spec.has_teacher else ())]
        for name in exits:
            found.append(kd(STUDENT, name, 1.0 - spec.from_teacher))
            features = Transfer(
                source=STUDENT, target=name, loss=ExitFeatureLoss(), weight=spec.beta, teacher_tap=f"stage{count}"
            )
            found.append(features)
        return found

    members = {STUDENT: Member(build=context.students()[STUDENT], task_weight=1.0 - spec.alpha)}
    for name, stage in exits.items():
        members[name] = Member(
            build=context.built(name, partial(_exit, stage)),
            builds_on=(STUDENT,),
            task_weight=1.0 - spec.alpha,
            kept_with=STUDENT,
        )
    if spec.has_teacher:
        start = None if context.takes_teacher() else Start("teacher", "T")
        members = {"T": Member(build=context.teacher(), trains=False, start=start), **members}
    first = (context.teacher_stage(),) if spec.has_teacher and not context.takes_teacher() else ()
    main = Stage(name="main", members=members, training=recipe.training, transfers=edges)
    return Plan(
        stages=(*first, main),
        students=(*exits, STUDENT),
        teacher="T" if spec.has_teacher else None,
        notes=("teacher_share is 0: no teacher takes part",) if spec.teacher_share == 0 else (),
    )


def _stages(context: Context, student: NetworkSpec) -> int:
    """How many stages the student has."""
    count = sum(tap.startswith("stage") for tap in context.shapes(student))
    if count < 2:
        raise UserError(
            f"self_distill: {student.architecture} has {count} stage, so there is none to put an exit on; "
            "choose another architecture"
        )
    return count


def _exit(stage: int, student: Network) -> Exit:
    return Exit({STUDENT: student}, stage=stage)
