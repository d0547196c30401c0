"""What a run says of the weights that its networks were given, before it trains."""

from collections.abc import Iterator

from preceptor.cohort.stage import Plan
from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.networks.export import CONFIG
from preceptor.specs import HUB, LOCAL, NetworkSpec
from preceptor.techniques.context import Context


def require_weights_meant(context: Context) -> None:
    """Refuse a folder that is named as architecture, but whose weights would be left out without a word.

    Raises:
        UserError: ``local-dir:FOLDER`` with ``weights: none``.
    """
    for where, spec in _networks(context):
        is_saved = (expand(spec.architecture.removeprefix(LOCAL)) / CONFIG).is_file()
        if spec.architecture.startswith(LOCAL) and spec.weights == "none" and is_saved:
            raise UserError(
                f"{where}: architecture {spec.architecture!r} names a folder with weights, and `weights: none` would "
                "leave them out.\nLeave out `weights` to start from the folder's, or name the architecture itself to "
                "start from random numbers."
            )


def notes_on_weights(context: Context, plan: Plan) -> tuple[str, ...]:
    """A sentence for each network whose given weights could be expected to be used otherwise than they are."""
    return (*_on_teachers(context, plan), *_on_the_hub(context))


def _on_teachers(context: Context, plan: Plan) -> Iterator[str]:
    recipe = context.recipe
    option = next((o for o in ("teacher", "teachers", "snapshots") if getattr(recipe.technique, o, None)), None)
    for name, spec in _teachers(context).items():
        stages = [stage for stage in plan.stages if name in stage.members]
        if not stages or not spec.may_be_trained:
            continue
        given = repr(spec.from_disk or spec.architecture)
        if option:
            yield f"{name} is what technique.{option} gives; the weights that networks names, {given}, are not used."
        elif not any(stage.members[name].trains for stage in stages):
            yield f"{name} is {given} as it is, frozen; teacher_training would train it further first."
        elif recipe.technique.name == "baseline" or not any(stage.learners == (name,) for stage in stages):
            yield f"{name} starts from {given} and is trained further, as {recipe.technique.name} does."
        elif recipe.teacher_training:
            yield f"{name} starts from {given} and is trained further first, because teacher_training says how."
        else:
            yield (
                f"{name} starts from {given}, which has no head for these classes (or not the adapter that this run "
                "wants), and is trained first."
            )


def _on_the_hub(context: Context) -> Iterator[str]:
    for where, spec in _networks(context):
        if spec.architecture.startswith(HUB) and spec.weights == "none":
            yield f"{where}: weights none takes the architecture of {spec.architecture} without its weights."


def _teachers(context: Context) -> dict[str, NetworkSpec]:
    networks = context.recipe.networks
    if networks.teachers:
        return {f"T{number}": spec for number, spec in enumerate(networks.teachers, start=1)}
    if networks.teacher is None:
        return {}
    return {"T1" if context.recipe.technique.name == "multi_teacher" else "T": networks.teacher}


def _networks(context: Context) -> Iterator[tuple[str, NetworkSpec]]:
    networks, technique = context.recipe.networks, context.recipe.technique
    if technique.has_teacher:
        yield from ((f"networks, {name}", spec) for name, spec in _teachers(context).items())
    if getattr(technique, "network", "student") == "student":
        yield from ((f"networks, {name}", spec) for name, spec in networks.peers.items())
