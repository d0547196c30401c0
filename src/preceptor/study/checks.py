"""What can be known to be wrong before anything is written: device, data, given teachers and weights, networks.

Many runs are about to begin; each would find out for itself, late, and leave a folder behind.
"""

import json
from collections.abc import Iterable

from rich.console import Console

from preceptor.recipe import Recipe
from preceptor.specs import NetworkSpec
from preceptor.study.plan import all_teachers


def check_device(device: str) -> None:
    """Refuse a device that is not here."""
    from preceptor.training.fabric import require_device

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
    from preceptor.networks.build import build_network
    from preceptor.techniques import TECHNIQUES, Context
    from preceptor.training.same_data import require_unseen

    prepared: dict[str, Prepared] = {}
    seen: set[str] = set()
    for recipe, is_complete in recipes:
        data = f"{recipe.model_dump_json(include={'task', 'data', 'split'})} {recipe.seed}"
        if data not in prepared:
            with console.status("reading images"):
                prepared[data] = prepare(recipe)
        packed = prepared[data].packed
        require_unseen(recipe, prepared[data])
        for spec in _made(recipe, is_complete):
            key = json.dumps([spec.model_dump(mode="json"), recipe.task, packed.classes, packed.size])
            if key not in seen:
                with console.status(f"making {spec.encoder or spec.architecture}"):
                    build_network(spec, task=recipe.task, classes=packed.classes, image_size=packed.size, seed=0)
                seen.add(key)
        key = recipe.model_dump_json(exclude={"name", "seed", "split", "augment", "training"})
        if is_complete and key not in seen:
            plan = TECHNIQUES[recipe.technique.name](Context(recipe, packed.classes, packed.size))
            for member in (member for stage in plan.stages for member in stage.members.values()):
                if not member.trains and not member.builds_on and member.start is None:  # it was given
                    member.build()
            seen.add(key)


def _made(recipe: Recipe, is_complete: bool) -> Iterable[NetworkSpec]:
    """The networks that a run makes from the recipe itself: teachers that are given are not."""
    technique = recipe.technique
    given = any(getattr(technique, option, None) for option in ("teacher", "teachers", "snapshots"))
    if technique.has_teacher and is_complete and not given:
        yield from all_teachers(recipe)
    if getattr(technique, "network", "student") != "teacher":
        yield from recipe.networks.peers.values()
