"""Scores of the networks that a run has exported."""

from collections.abc import Callable
from pathlib import Path

from preceptor.composed import load_network
from preceptor.composed.committee import teachers_in
from preceptor.data.prepare import prepare, prepare_whole
from preceptor.data.repair import on_sound_pixels
from preceptor.errors import UserError
from preceptor.machine.fabric import make_fabric
from preceptor.recipe import Recipe
from preceptor.training.evaluate import Evaluation, evaluate
from preceptor.training.same_data import require_same_split


def evaluate_networks(
    recipe: Recipe,
    folder: Path,
    *,
    data: str | None = None,
    device: str = "auto",
    masks: Path | None = None,
    note: Callable[[str], object] = lambda note: None,
) -> Evaluation:
    """Evaluate the exported networks in ``folder`` on the recipe's test split, or on all of other ``data``.

    Args:
        masks: where every network's mask of every image is written, for segmentation.
        note: called with what the user should know of the networks, one sentence each.

    Raises:
        UserError: no networks, or data with other classes.
    """
    return on_sound_pixels(lambda: _evaluate(recipe, folder, data, device, masks, note))


def _evaluate(
    recipe: Recipe,
    folder: Path,
    data: str | None,
    device: str,
    masks: Path | None,
    note: Callable[[str], object],
) -> Evaluation:
    prepared = prepare(recipe) if data is None else prepare_whole(recipe, data)
    if data is None:
        require_same_split(folder.parent, prepared)
    networks = {path.parent.name: load_network(path.parent) for path in sorted(folder.glob("*/config.json"))}
    if not networks:
        raise UserError(f"{folder} holds no exported networks")
    for note in dict.fromkeys(note for network in networks.values() for note in network.notes):
        note(note)
    for name, network in networks.items():
        classes = network.blueprint.classes
        if classes != prepared.packed.classes:
            raise UserError(
                f"{folder / name} was trained on classes {', '.join(classes)}; "
                f"this data has {', '.join(prepared.packed.classes)}"
            )
    return evaluate(
        make_fabric(device),
        {**teachers_in(networks.get("T")), **networks},
        prepared,
        "test",
        teacher="T" if len(networks) > 1 and "T" in networks else None,
        students=[name for name in networks if name != "T"],
        batch_size=recipe.training.batch_size,
        masks=masks,
    )
