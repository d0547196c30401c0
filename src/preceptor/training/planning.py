"""From a recipe and its images to a plan that can be trained."""

from preceptor.cohort.instantiate import Workshop
from preceptor.data.prepare import Prepared
from preceptor.networks.build import mean_of
from preceptor.plan.ready import require_trainable
from preceptor.plan.stage import Plan
from preceptor.recipe import Recipe
from preceptor.specs import HUB, LOCAL


def workshop_of(recipe: Recipe, prepared: Prepared) -> Workshop:
    """What makes the networks of a recipe for its images."""
    packed = prepared.packed
    return Workshop(
        task=recipe.task,
        classes=packed.classes,
        image_size=packed.size,
        channels=packed.channels,
        seed=recipe.seed,
    )


def settled_plan(recipe: Recipe, workshop: Workshop) -> Plan:
    """The plan of a recipe, ready to be trained.

    Raises:
        UserError: options, weights or networks that do not fit each other.
    """
    plan = recipe.plan(workshop)
    require_trainable(plan, shots=recipe.split.shots)
    for network in plan.networks:
        if network.spec is not None and not network.spec.architecture.startswith((LOCAL, HUB)):
            mean_of(network.spec, recipe.task)  # an unknown name is refused before anything is trained
    return workshop.settled(plan)
