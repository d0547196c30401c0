"""Several frozen teachers, integrated into one soft target, teach the students."""

from preceptor.cohort.stage import Plan, Stage
from preceptor.cohort.transfer import Transfer, facing
from preceptor.errors import UserError
from preceptor.knowledge.response.soft_target import SoftTargetLoss
from preceptor.technique_specs import MultiTeacherSpec
from preceptor.techniques.context import Context, learning, per_student
from preceptor.techniques.shares import Shares
from preceptor.techniques.teachers import committee_members, committee_notes, teacher_stages


def multi_teacher(context: Context) -> Plan:
    """Several frozen teachers, weighed for each image, teach as one committee T; students may teach each other too.

    With one teacher it is kd_offline that shares predictions.

    Options: integration, power, temperature, alpha, beta, gamma, teachers, folds, student_alone.
    Source: You et al. 2017, "Learning from multiple teacher networks" (average); Zhang et al. 2022, arXiv:2201.00007
        (ce; entropy from its code); val_acc, confidence, correct_only and folds: this package.
    """
    recipe, spec = context.recipe, context.recipe.technique
    assert isinstance(spec, MultiTeacherSpec)
    first = teacher_stages(context, folds=spec.folds)
    teachers = committee_members(
        context, integration=spec.integration, temperature=spec.temperature, power=spec.power, folds=spec.folds
    )
    students = list(recipe.networks.peers)
    shares = dict(zip(students, _shares(spec, len(students)), strict=True))

    def edges() -> list[Transfer]:
        pairs = [("T", name, shares[name].beta) for name in students]
        if any(share.gamma for share in shares.values()):
            pairs += [(source, target, part * shares[target].gamma) for source, target, part in facing(students)]
        return [
            Transfer(source=source, target=target, loss=SoftTargetLoss(spec.temperature), weight=weight)
            for source, target, weight in pairs
        ]

    main = Stage(
        name="main",
        members={**teachers, **learning(context.students(), {name: shares[name].alpha for name in students})},
        training=recipe.training,
        transfers=edges,
    )
    return Plan(
        stages=(*first, main),
        students=tuple(students),
        teacher="T",
        notes=(*_fold_notes(spec), *committee_notes(context, spec.integration)),
    )


def _shares(spec: MultiTeacherSpec, count: int) -> list[Shares]:
    """alpha · task + beta · from the committee + gamma · from the peers; beta is what a sum of 1 leaves."""
    alphas = per_student("alpha", spec.alpha, count, default=0.2)
    betas = per_student("beta", spec.beta, count, default=None)
    gammas = per_student("gamma", spec.gamma, count, default=0.0)
    if count == 1 and gammas[0]:
        raise UserError(
            "technique.gamma: a lone student has no peers; leave it out, or have two students (networks.count: 2)"
        )
    return [
        Shares(alpha, max(0.0, 1.0 - alpha - gamma) if beta is None else beta, gamma)
        for alpha, beta, gamma in zip(alphas, betas, gammas, strict=True)
    ]


def _fold_notes(spec: MultiTeacherSpec) -> tuple[str, ...]:
    if spec.folds is None:
        return ()
    return (
        f"Each of the {spec.folds} teachers is trained without one fold of the training part; the students learn from "
        "all of it.",
    )
