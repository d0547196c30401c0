"""Baselines, distillation offline and online, mutual learning, and their mixtures.

Source: Niyaz, Sambyal & Bathula, "Leveraging different learning styles for improved knowledge distillation in
biomedical imaging", Computers in Biology and Medicine; its roots are Hinton et al. 2015 (arXiv:1503.02531) and Zhang
et al. 2018 (arXiv:1706.00384). All of them are one graph: alpha · task + beta · teacher + gamma · peers, per student.
"""

from dataclasses import replace

from preceptor import catalogue
from preceptor.cohort.stage import Member, Plan, Stage, Start
from preceptor.cohort.transfer import Transfer, facing
from preceptor.errors import UserError
from preceptor.knowledge.base import Loss
from preceptor.knowledge.feature.feature_mse import FeatureMSELoss
from preceptor.knowledge.response.soft_target import SoftTargetLoss
from preceptor.specs import Task
from preceptor.technique_specs import LossSpec, MixtureSpec, Route
from preceptor.techniques.context import Context, keeping_snapshots, learning, transfer
from preceptor.techniques.shares import Shares, routes_for, student_shares

SHARED_TAP: dict[Task, str] = {"classification": "last", "segmentation": "decoder1"}
"""The feature map that is shared: the last one, or the first decoder block's (section 3.4 of the paper)."""


def baseline(context: Context) -> Plan:
    """Each network learns its task alone: what everything else is compared with.

    Options: network, snapshots_every.
    Source: plain supervised training.
    """
    spec, training = _spec(context), context.recipe.training
    if spec.network == "teacher":
        stage = context.teacher_stage(_adapters(context, spec, routes={}).get("T"))
        if spec.snapshots_every:
            stage = keeping_snapshots(stage, spec.snapshots_every)
    else:
        stage = Stage(name="main", members=learning(context.students()), training=training)
    return Plan(stages=(stage,), students=stage.learners)


def kd_offline(context: Context) -> Plan:
    """A teacher is trained first; then, frozen, it teaches the students (offline distillation).

    Options: strategy, weights, alpha, beta, temperature, direction, routing, losses, hint, hint_epochs, teacher,
        adapter, student_alone.
    Source: Hinton, Vinyals & Dean 2015, arXiv:1503.02531; strategies of Niyaz, Sambyal & Bathula; the stage of the hint
        of Romero et al. 2015, arXiv:1412.6550.
    """
    spec, main = _spec(context), _main_stage(context)
    adapter = _adapters(context, spec, _routes(context)).get("T")
    first = [] if context.takes_teacher(adapter) else [context.teacher_stage(adapter)]
    if spec.hint:
        hint = _hint_stage(context, spec.hint, main)
        first.append(hint)
        main = replace(main, members={**main.members, **_going_on(main, hint)})
    return Plan(stages=(*first, main), students=tuple(context.recipe.networks.peers), teacher="T")


def kd_online(context: Context) -> Plan:
    """A teacher and its students train together, the teacher by its task (online distillation).

    Options: strategy, weights, alpha, beta, temperature, direction, routing, losses, teacher, adapter, teacher_learns,
        sequential, student_alone.
    Source: Niyaz, Sambyal & Bathula, "Leveraging different learning styles for improved knowledge distillation in
        biomedical imaging".
    """
    return _one_stage(context)


def ml(context: Context) -> Plan:
    """Students without a teacher learn from one another (deep mutual learning).

    Options: strategy, weights, alpha, gamma, temperature, direction, routing, adapter, sequential.
    Source: Zhang et al. 2018, arXiv:1706.00384; strategies of Niyaz, Sambyal & Bathula.
    """
    return _one_stage(context)


def kd_ml(context: Context) -> Plan:
    """Students learn from a teacher that trains along and from one another (KD+ML).

    Options: strategy, weights, alpha, beta, gamma, temperature, direction, routing, teacher, adapter, teacher_learns,
        sequential, student_alone.
    Source: Niyaz, Sambyal & Bathula, "Leveraging different learning styles for improved knowledge distillation in
        biomedical imaging".
    """
    return _one_stage(context)


def _spec(context: Context) -> MixtureSpec:
    spec = context.recipe.technique
    assert isinstance(spec, MixtureSpec)
    return spec


def _routes(context: Context) -> dict[str, Route]:
    students = context.recipe.networks.peers
    return dict(zip(students, routes_for(_spec(context), len(students)), strict=True))


def _one_stage(context: Context) -> Plan:
    teacher = "T" if _spec(context).has_teacher else None
    return Plan(stages=(_main_stage(context),), students=tuple(context.recipe.networks.peers), teacher=teacher)


def _main_stage(context: Context) -> Stage:
    """alpha · task + beta · teacher + gamma · peers, for every student."""
    spec, students = _spec(context), list(context.recipe.networks.peers)
    shares = dict(zip(students, student_shares(context, spec), strict=True))
    routes = _routes(context)
    adapters = _adapters(context, spec, routes)

    def edges() -> list[Transfer]:
        found = [edge for name in students for edge in _from_teacher(spec, name, shares[name], routes[name], context)]
        for source, target, share in facing(students) if spec.name in ("ml", "kd_ml") else ():
            weight = share * shares[target].gamma
            found.append(_shared(spec, routes[target].peers, source, target, weight, context))
        if spec.teacher_learns:
            weight = spec.teacher_learns / len(students)
            found += [_shared(spec, "predictions", name, "T", weight, context) for name in students]
        return found

    members = _teacher_member(context, spec, adapters)
    members |= learning(context.students(adapters), {name: shares[name].alpha for name in students})
    return Stage(
        name="main",
        members=members,
        training=context.recipe.training,
        transfers=edges,
        turns=tuple((name,) for name, member in members.items() if member.trains) if spec.sequential else (),
    )


def _hint_stage(context: Context, hint: LossSpec, main: Stage) -> Stage:
    """The students of ``main`` learn the hint alone; what they do not need for it stays as it is."""
    epochs = _spec(context).hint_epochs or main.training.epochs
    if catalogue.load(catalogue.entry_for(hint.loss)).head is not Loss.head:
        raise UserError(f"technique.hint: {hint.loss} replaces the students' heads; take another loss, such as fitnet")

    def edges() -> list[Transfer]:
        return [transfer(hint, source="T", target=name, task=context.recipe.task) for name in main.learners]

    return Stage(
        name="hint",
        members={name: replace(m, task_weight=0.0) if m.trains else m for name, m in main.members.items()},
        training=main.training.model_copy(update={"epochs": epochs, "patience": None}),
        transfers=edges,
        snapshots=frozenset({epochs}),
    )


def _going_on(main: Stage, hint: Stage) -> dict[str, Member]:
    """The students of ``main``, from the weights after the last epoch of ``hint``."""
    starts = {name: Start(hint.name, name, hint.last_epoch) for name in main.learners}
    return {name: replace(main.members[name], start=start) for name, start in starts.items()}


def _teacher_member(context: Context, spec: MixtureSpec, adapters: dict[str, int | None]) -> dict[str, Member]:
    if not spec.has_teacher:
        return {}
    build = context.teacher(adapters.get("T"))
    if spec.name != "kd_offline":
        return {"T": Member(build=build)}
    start = None if context.takes_teacher(adapters.get("T")) else Start("teacher", "T")
    return {"T": Member(build=build, trains=False, start=start)}


def _from_teacher(spec: MixtureSpec, name: str, share: Shares, route: Route, context: Context) -> list[Transfer]:
    if not spec.has_teacher:
        return []
    if spec.losses:
        return [transfer(loss, source="T", target=name, task=context.recipe.task) for loss in spec.losses]
    return [_shared(spec, route.teacher, "T", name, share.beta, context)]


def _shared(spec: MixtureSpec, kind: str, source: str, target: str, weight: float, context: Context) -> Transfer:
    """One edge that shares predictions or features."""
    if kind == "predictions":
        loss = SoftTargetLoss(temperature=spec.temperature, direction=spec.direction)
        return Transfer(source=source, target=target, loss=loss, weight=weight)
    tap = SHARED_TAP[context.recipe.task]
    return Transfer(source=source, target=target, loss=FeatureMSELoss(), weight=weight, student_tap=tap)


def _adapters(context: Context, spec: MixtureSpec, routes: dict[str, Route]) -> dict[str, int | None]:
    """Width of the 1x1 convolution inside each network that shares features and is wider than the narrowest student."""
    recipe, tap = context.recipe, SHARED_TAP[context.recipe.task]
    from_teacher = spec.has_teacher and not spec.losses and any(r.teacher == "features" for r in routes.values())
    among_peers = spec.name in ("ml", "kd_ml") and any(route.peers == "features" for route in routes.values())
    # A U-Net's first decoder block has its own width whatever the encoder, so only classifiers have adapters.
    always = spec.adapter == "always" and recipe.task == "classification"
    if not always and (spec.adapter == "never" or not (from_teacher or among_peers)):
        return {}
    specs = dict(recipe.networks.peers)
    narrowest = min(context.width(peer, tap) for peer in specs.values())
    sharing = [name for name in specs if among_peers or from_teacher]
    if spec.has_teacher and recipe.networks.teacher and (from_teacher or always):
        specs["T"] = recipe.networks.teacher
        sharing.append("T")
    widths = {name: context.width(specs[name], tap) for name in sharing}
    wider = {name: width for name, width in widths.items() if width != narrowest}
    if wider and recipe.task == "segmentation":
        raise UserError(
            f"technique.strategy {spec.strategy}: features are shared at {tap}, where the widths differ: "
            f"{', '.join(f'{name} {width}' for name, width in widths.items())}.\n"
            "Give all networks the same first `decoder_channels` in networks.….options, or share predictions."
        )
    adapters: dict[str, int | None] = dict.fromkeys(wider, narrowest)
    if always and "T" in specs:
        adapters["T"] = narrowest
    return adapters
