"""How much each student of a mixture learns from its task, its teacher and its peers, and what it receives."""

from dataclasses import dataclass

from preceptor.errors import UserError
from preceptor.knowledge import catalogue
from preceptor.specs import Task
from preceptor.technique_specs import MixtureSpec, Route
from preceptor.techniques.context import Context, per_student
from preceptor.techniques.published import published_weights

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


def student_shares(context: Context, spec: MixtureSpec) -> list[Shares]:
    """alpha, beta and gamma of each student, given, published, or from a sum of 1."""
    count = len(context.recipe.networks.peers)
    if spec.weights == "published":
        if any(given is not None for given in (spec.alpha, spec.beta, spec.gamma)):
            raise UserError("technique.weights: published weights and alpha, beta or gamma exclude each other")
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


def _default_alpha(spec: MixtureSpec, task: Task) -> float:
    """0.2, the papers' usual value; beside named losses what their own papers give the task."""
    settings = [catalogue.entry_for(loss.loss).settings[task] for loss in spec.losses]
    return min((setting.task_weight for setting in settings), default=0.2)


def _complete(spec: MixtureSpec, alpha: float, beta: float | None, gamma: float | None) -> Shares:
    """Fill in what a sum of 1 leaves; beside named losses the weights are the losses' own."""
    if spec.losses and spec.name in ("ml", "kd_ml"):
        raise UserError(
            f"technique.losses: they stand on the teacher's edges of kd_offline and kd_online, not in {spec.name}; "
            "write edges with technique.name=graph"
        )
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
