"""Baselines, distillation offline and online, mutual learning, and their mixtures.

Source: Niyaz, Sambyal & Bathula, "Leveraging different learning styles for improved knowledge distillation in
biomedical imaging", Computers in Biology and Medicine; its roots are Hinton et al. 2015 (arXiv:1503.02531) and Zhang
et al. 2018 (arXiv:1706.00384). All of them are one graph: alpha · task + beta · teacher + gamma · peers, per student.
"""

from dataclasses import dataclass

from preceptor import catalogue
from preceptor.cohort.stage import Member, Plan, Stage, Start
from preceptor.cohort.transfer import Transfer, facing
from preceptor.errors import UserError
from preceptor.knowledge.feature.feature_mse import FeatureMSELoss
from preceptor.knowledge.response.soft_target import SoftTargetLoss
from preceptor.recipe import MixtureSpec, Route, Task
from preceptor.techniques.context import Context, learning, per_student, transfer
from preceptor.techniques.published import published_weights

SHARED_TAP: dict[Task, str] = {"classification": "last", "segmentation": "decoder1"}
"""The feature map that is shared: the last one, or the first decoder block's (section 3.4 of the paper)."""

_STRATEGIES = {
    "predictions": (Route(teacher="predictions", peers="predictions"),),
    "features": (Route(teacher="features", peers="features"),),
    "diverse": (Route(teacher="features", peers="predictions"), Route(teacher="predictions", peers="features")),
}
"""What each student receives; with more students than entries the table repeats (equations 6, 7, 9, 10)."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of one student's loss comes from the task, the teacher and the peers."""

    alpha: float
    beta: float = 0.0
    gamma: float = 0.0


def mixture(context: Context) -> Plan:
    """The plan of ``baseline``, ``kd_offline``, ``kd_online``, ``ml`` or ``kd_ml``."""
    spec = context.recipe.technique
    assert isinstance(spec, MixtureSpec)
    if spec.name == "baseline":
        return _baseline(context, spec)
    students = list(context.recipe.networks.peers)
    shares = dict(zip(students, student_shares(context, spec), strict=True))
    routes = dict(zip(students, routes_for(spec, len(students)), strict=True))
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

    members = learning(context.students(adapters), {name: shares[name].alpha for name in students})
    main = Stage(
        name="main",
        members={**_teacher_member(context, spec, adapters), **members},
        training=context.recipe.training,
        transfers=edges,
        turns=tuple((name,) for name in members) if spec.sequential else (),
    )
    first = [_teacher_stage(context, adapters)] if spec.name == "kd_offline" and not spec.teacher else []
    return Plan(stages=(*first, main), students=tuple(students), teacher="T" if spec.has_teacher else None)


def student_shares(context: Context, spec: MixtureSpec) -> list[Shares]:
    """alpha, beta and gamma of each student, given, published, or from a sum of 1."""
    count = len(context.recipe.networks.peers)
    if spec.weights == "published":
        recipe = context.recipe
        teacher, student = recipe.networks.teacher, next(iter(recipe.networks.peers.values()))
        cell = published_weights(
            dataset=recipe.data.source,
            task=recipe.task,
            teacher=(teacher.encoder or teacher.architecture) if teacher else None,
            student=student.encoder or student.architecture,
            technique=spec.name,
            strategy=spec.strategy,
        )
        given = [Shares(weights.alpha, weights.beta, weights.gamma) for weights in cell]
        if len(given) != count:
            raise UserError(f"technique.weights: published weights are for {len(given)} students, here are {count}")
        return given
    alphas = per_student("alpha", spec.alpha, count, default=_default_alpha(spec, context.recipe.task))
    betas = per_student("beta", spec.beta, count, default=None)
    gammas = per_student("gamma", spec.gamma, count, default=None)
    return [_complete(spec, *given) for given in zip(alphas, betas, gammas, strict=True)]


def routes_for(spec: MixtureSpec, count: int) -> list[Route]:
    """What each student receives: ``routing`` where given, else the strategy's table."""
    if spec.routing and len(spec.routing) != count:
        raise UserError(f"technique.routing: {len(spec.routing)} entries for {count} students; give one for each")
    table = spec.routing or _STRATEGIES[spec.strategy]
    return [table[number % len(table)] for number in range(count)]


def _baseline(context: Context, spec: MixtureSpec) -> Plan:
    training = context.recipe.training
    if spec.network == "student":
        builders = context.students()
    else:
        training = context.recipe.teacher_stage_training
        builders = {"T": context.teacher(_adapters(context, spec, routes={}).get("T"))}
    stage = Stage(name="main", members=learning(builders), training=training)
    if spec.network == "teacher":
        stage = Stage(name="teacher", members=learning(builders), training=training)
    return Plan(stages=(stage,), students=tuple(builders))


def _teacher_stage(context: Context, adapters: dict[str, int | None]) -> Stage:
    return Stage(
        name="teacher",
        members=learning({"T": context.teacher(adapters.get("T"))}),
        training=context.recipe.teacher_stage_training,
    )


def _teacher_member(context: Context, spec: MixtureSpec, adapters: dict[str, int | None]) -> dict[str, Member]:
    if not spec.has_teacher:
        return {}
    build = context.teacher(adapters.get("T"))
    if spec.name != "kd_offline":
        return {"T": Member(build=build)}
    return {"T": Member(build=build, trains=False, start=None if spec.teacher else Start("teacher", "T"))}


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


def _default_alpha(spec: MixtureSpec, task: Task) -> float:
    """0.2, the papers' usual value; beside named losses what their own papers give the task."""
    settings = [catalogue.entry_for(loss.loss).settings[task] for loss in spec.losses]
    return min((setting.task_weight for setting in settings), default=0.2)


def _complete(spec: MixtureSpec, alpha: float, beta: float | None, gamma: float | None) -> Shares:
    """Fill in what a sum of 1 leaves."""
    if spec.losses or spec.name in ("kd_offline", "kd_online"):
        if gamma:
            raise UserError(f"technique.gamma: {spec.name} has no peers that teach; use kd_ml, or leave it out")
        return Shares(alpha, 1.0 - alpha if beta is None else beta)
    if spec.name == "ml":
        if beta:
            raise UserError("technique.beta: ml has no teacher; use kd_ml, or leave it out")
        return Shares(alpha, gamma=1.0 - alpha if gamma is None else gamma)
    if beta is None:
        beta = (1.0 - alpha) / 2 if gamma is None else max(0.0, 1.0 - alpha - gamma)
    return Shares(alpha, beta, max(0.0, 1.0 - alpha - beta) if gamma is None else gamma)
