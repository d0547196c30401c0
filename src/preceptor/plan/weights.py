"""What should be known of the weights that a plan's networks are given, before anything is trained."""

from collections.abc import Iterator

from preceptor.errors import UserError
from preceptor.files import expand
from preceptor.plan.cast import is_teacher
from preceptor.plan.network import NetworkUse
from preceptor.plan.stage import Plan
from preceptor.runs.files import is_network
from preceptor.specs import HUB, LOCAL


def require_weights_meant(plan: Plan) -> None:
    """Refuse a folder that is named as architecture, but whose weights would be left out without a word.

    Raises:
        UserError: ``local-dir:FOLDER`` with ``weights: none``.
    """
    for network in plan.networks:
        spec = network.spec
        if spec is None or not spec.architecture.startswith(LOCAL) or spec.weights != "none":
            continue
        if is_network(expand(spec.architecture.removeprefix(LOCAL))):
            raise UserError(
                f"networks, {network.name}: architecture {spec.architecture!r} names a folder with weights, and "
                "`weights: none` would leave them out.\nLeave out `weights` to start from the folder's, or name the "
                "architecture itself to start from random numbers."
            )


def notes_on_weights(plan: Plan, technique: str, *, goes_on: bool) -> tuple[str, ...]:
    """A sentence for each network whose weights could be expected to be used otherwise than they are.

    Args:
        goes_on: the recipe says how teachers are trained further.
    """
    teachers = [network for network in plan.networks if is_teacher(network.name)]
    notes = dict.fromkeys(note for one in teachers for note in _on_teacher(plan, one, technique, goes_on=goes_on))
    return (*notes, *_on_the_hub(plan))


def _on_teacher(plan: Plan, network: NetworkUse, technique: str, *, goes_on: bool) -> Iterator[str]:
    name, spec = network.name, network.spec
    if spec is None or not spec.may_be_trained:
        return
    stages = [stage for stage in plan.stages if name in stage.members]
    where = repr(spec.from_disk or spec.architecture)
    if network.given:
        option = network.given.option.partition(",")[0]
        yield f"{name} is what {option} gives; the weights that networks names, {where}, are not used."
    elif all(stage.members[name].features_only for stage in stages):
        yield f"{name} is {where} as it is, frozen; its features are copied, its head is not used."
    elif all(stage.probe for stage in stages):
        yield f"{name} is {where} as it is, frozen; a head is computed on its embeddings."
    elif not any(stage.members[name].trains for stage in stages):
        yield f"{name} is {where} as it is, frozen; teacher_training would train it further first."
    elif not any(stage.instead and stage.learners == (name,) for stage in stages):
        yield f"{name} starts from {where} and is trained further, as {technique} does."
    elif goes_on:
        yield f"{name} starts from {where} and is trained further first, because teacher_training says how."
    else:
        yield (
            f"{name} starts from {where}, which has no head for these classes (or not the adapter that this run "
            "wants), and is trained first."
        )


def _on_the_hub(plan: Plan) -> Iterator[str]:
    for network in plan.networks:
        spec = network.spec
        if spec and spec.architecture.startswith(HUB) and spec.weights == "none" and not network.given:
            yield (
                f"networks, {network.name}: weights none takes the architecture of {spec.architecture} without its "
                "weights."
            )
