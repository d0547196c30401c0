"""Multi-Part KD: the students learn in parts, each from the teacher as it was at that point of its own training."""

from collections.abc import Mapping, Sequence
from functools import partial

from preceptor.cohort.stage import Choice, Member, Plan, Stage, Start
from preceptor.cohort.transfer import Transfer
from preceptor.errors import UserError
from preceptor.knowledge.response.soft_target import SoftTargetLoss
from preceptor.technique_specs import MultiPartSpec
from preceptor.techniques.context import Context, keeping_snapshots, learning, per_student, teacher_weights


def multi_part(context: Context) -> Plan:
    """Students learn part by part from snapshots of the teacher's own training (Multi-Part KD).

    Options: every, teacher_every, snapshots, anchors, ratio, weight, alpha, temperature, direction, restart_lr,
        student_alone.
    Source: Garg & Singh, "Multi-part knowledge distillation for the efficient classification of colorectal cancer
        histology images"; greedy anchors after Jin et al. 2019, arXiv:1904.09149.
    Differs: greedy anchors are from memory of the paper; the ratio 1.25 is the inverse of its threshold 0.8 as
        remembered, distances are averaged over several students, and the last part always has the last snapshot.
    """
    spec, training = _spec(context), context.recipe.training
    _require_parts(context, spec)
    if spec.snapshots:
        teachers, first = _given(context, spec)
    else:
        teachers, first = _taken(context, spec) if context.takes_teacher() else _trained(context, spec)
    students = tuple(context.recipe.networks.peers)
    alphas = per_student("alpha", spec.alpha, len(students), default=1.0 - spec.weight)

    def edges() -> list[Transfer]:
        return [
            Transfer(
                source="T",
                target=name,
                loss=SoftTargetLoss(temperature=spec.temperature, direction=spec.direction),
                weight=spec.weight,
            )
            for name in students
        ]

    members = learning(context.students(), dict(zip(students, alphas, strict=True)))
    begins = range(0, training.epochs, spec.every)
    names = [f"main-{number:0{len(str(len(begins)))}}" for number in range(1, len(begins) + 1)]
    stages = [
        Stage(
            name=name if len(begins) > 1 else "main",
            members={"T": teacher, **members},
            training=training,
            transfers=edges,
            choices=choices,
            epochs=min(spec.every, training.epochs - begin),
            continues=before,
            phase="main",
            first_epoch=begin,
            phase_epochs=training.epochs,
            restarts_schedule=spec.restart_lr,
        )
        for name, before, begin, (teacher, choices) in zip(
            names, [None, *names], begins, _anchors(spec, teachers, len(begins)), strict=False
        )
    ]
    notes = [f"the last part has {stages[-1].epochs} of {spec.every} epochs"] if training.epochs % spec.every else []
    if first and training.patience:
        notes.append("patience settles students only: the teacher trains all its epochs, for its snapshots")
    return Plan(stages=(*first, *stages), students=students, teacher="T", notes=tuple(notes))


def latest_within(distances: Mapping[str, float], *, ratio: float) -> str:
    """The latest anchor that is at most ``ratio`` times as far as the present one, and at least the next.

    Args:
        distances: from the student, by anchor in the order of the teacher's training; the present one comes first.
    """
    present, *later = distances
    within = [anchor for anchor in later if distances[anchor] <= ratio * distances[present]]
    return (within or later[:1] or [present])[-1]


def _spec(context: Context) -> MultiPartSpec:
    spec = context.recipe.technique
    assert isinstance(spec, MultiPartSpec)
    return spec


def _require_parts(context: Context, spec: MultiPartSpec) -> None:
    """Refuse lengths of parts that no part could have."""
    recipe = context.recipe
    lengths = [("every", spec.every, "part", "training.epochs", recipe.training.epochs)]
    if spec.teacher_every:
        epochs = recipe.teacher_stage_training.epochs
        lengths.append(("teacher_every", spec.teacher_every, "snapshot", "teacher_training.epochs", epochs))
    for option, every, what, of, epochs in lengths:
        if every > epochs:
            raise UserError(
                f"technique.{option} {every} is more than {of}, which is {epochs}: there would be one {what}, and so "
                f"ordinary offline distillation.\nGive {option} at most {epochs}, train for longer, or use "
                "technique.name=kd_offline."
            )


def _given(context: Context, spec: MultiPartSpec) -> tuple[dict[str, Member], list[Stage]]:
    """The snapshots that the recipe names, and no stage."""
    teachers = {}
    for number, snapshot in enumerate(spec.snapshots, start=1):
        weights = teacher_weights(snapshot, f"technique.snapshots, number {number}")
        teachers[f"{number} ({snapshot})"] = Member(build=context.teacher(weights=weights), trains=False)
    return teachers, []


def _taken(context: Context, spec: MultiPartSpec) -> tuple[dict[str, Member], list[Stage]]:
    """The one state of a teacher that ``networks.teacher`` gives, and no stage."""
    if spec.teacher_every:
        raise UserError(
            "technique.teacher_every: networks.teacher has trained weights and is taken as it is, so it has no "
            "snapshots; leave it out, or say with teacher_training how to train it further"
        )
    return {"as given": Member(build=context.teacher(), trains=False)}, []


def _trained(context: Context, spec: MultiPartSpec) -> tuple[dict[str, Member], list[Stage]]:
    """The snapshots of a teacher that is trained first, and the stage that trains it."""
    stage = keeping_snapshots(context.teacher_stage(), spec.teacher_every or spec.every)
    build = context.teacher()
    teachers = {
        f"epoch {epoch}": Member(build=build, trains=False, start=Start(stage.name, "T", epoch))
        for epoch in sorted(stage.snapshots)
    }
    return teachers, [stage]


def _anchors(
    spec: MultiPartSpec, teachers: Mapping[str, Member], parts: int
) -> Sequence[tuple[Member, dict[str, Choice]]]:
    """The teacher of each part, or the choice of one."""
    snapshots = list(teachers.values())
    if spec.anchors == "last":
        return [(snapshots[-1], {})] * parts
    if spec.anchors == "greedy":
        choice = Choice(
            candidates=teachers, decide=partial(latest_within, ratio=spec.ratio), temperature=spec.temperature
        )
        begin = [(snapshots[0], {}), *[(snapshots[0], {"T": choice})] * parts]
        return [*begin[: parts - 1], (snapshots[-1], {})]
    if len(snapshots) != parts:
        raise UserError(
            f"technique.anchors equal: there are {len(snapshots)} snapshots of the teacher ({', '.join(teachers)}), "
            f"but {parts} parts of {spec.every} epochs for the students: each part wants one snapshot.\n"
            "Change training.epochs, teacher_training.epochs, technique.every or technique.teacher_every until the "
            "numbers agree, or use technique.anchors=greedy or last."
            + (
                " A teacher with trained weights is one snapshot unless teacher_training is set."
                * (len(snapshots) == 1)
            )
        )
    return [(snapshot, {}) for snapshot in snapshots]
