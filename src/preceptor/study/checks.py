"""What can be known to be wrong before anything is written: device, data, given teachers and weights, networks.

Many runs are about to begin; each would find out for itself, late, and leave a folder behind.
"""

from collections.abc import Iterable
from dataclasses import replace

from rich.console import Console

from preceptor.plan.cast import Usual, is_teacher
from preceptor.plan.show import architecture_of_use
from preceptor.recipe import Recipe


def check_device(device: str) -> None:
    """Refuse a device that is not here."""
    from preceptor.machine.device import require_device

    require_device(device)


def check_recipes(recipes: Iterable[tuple[Recipe, bool]], console: Console) -> None:
    """Read and pack the images of every recipe, look at what it is given, and make its networks: each thing once.

    Args:
        recipes: each with whether it is complete. One whose teachers other runs will train is not, and is planned when
            they are there.

    Raises:
        UserError: what is wrong, as the run itself would say.
    """
    from preceptor.data.prepare import Prepared, prepare
    from preceptor.training.planning import settled_plan, workshop_of
    from preceptor.training.same_data import require_unseen

    prepared: dict[str, Prepared] = {}
    made: set[object] = set()
    for recipe, is_complete in recipes:
        data = f"{recipe.model_dump_json(include={'task', 'data', 'split'})} {recipe.seed}"
        if data not in prepared:
            with console.status("reading images"):
                prepared[data] = prepare(recipe)
        packed = prepared[data].packed
        workshop = workshop_of(recipe, prepared[data])
        plan = settled_plan(recipe, workshop) if is_complete else recipe.plan(Usual(trained=False))
        require_unseen(plan, recipe.data, prepared[data])
        for network in plan.networks:
            one = (replace(network, name=""), recipe.task, packed.classes, packed.size)
            if one not in made and (is_complete or not is_teacher(network.name)):
                with console.status(f"making {architecture_of_use(network)}"):
                    workshop.network(network)
                made.add(one)
