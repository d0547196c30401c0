"""The cells of a study: every combination of the axes' options, without those left out and with those added."""

from dataclasses import dataclass
from itertools import product
from typing import Any

from preceptor.errors import UserError
from preceptor.recipe import Recipe, changed_recipe
from preceptor.study.spec import Study


@dataclass(frozen=True, slots=True)
class GridCell:
    """A place in the table: axis -> option, and the recipe's changes there."""

    labels: dict[str, str]
    changes: tuple[tuple[str, Any], ...]


def cells(study: Study) -> list[GridCell]:
    """The cells in the order of the axes, those added last.

    Raises:
        UserError: nothing is left, or a cell is there twice.
    """
    found = []
    for options in product(*study.axes.values()):
        labels = dict(zip(study.axes, options, strict=True))
        if not any(left_out.items() <= labels.items() for left_out in study.exclude):
            found.append(GridCell(labels, tuple(_changes(study, labels))))
    for extra in study.include:
        labels = {axis: extra.cell[axis] for axis in study.axes}
        if any(cell.labels == labels for cell in found):
            raise UserError(f"study {study.name}: include: the cell {_words(labels)} is there already")
        found.append(GridCell(labels, (*_changes(study, labels), *extra.set.items())))
    if not found:
        raise UserError(f"study {study.name}: every cell is excluded")
    return found


def _changes(study: Study, labels: dict[str, str]) -> list[tuple[str, Any]]:
    """What the options change, one axis after another; an added cell may stand on an option of its own."""
    return [change for axis, option in labels.items() for change in study.axes[axis].get(option, {}).items()]


def _words(labels: dict[str, str]) -> str:
    return ", ".join(f"{axis} {option}" for axis, option in labels.items())


def recipes_of(study: Study) -> tuple[list[tuple[dict[str, str], Recipe]], dict[str, None]]:
    """The recipe of each cell, seed and fold with the cell's labels, and what was left out of them, once each.

    Nothing that a user's own file says is run for it.

    Raises:
        UserError: a cell's recipe is wrong; the message names the cell.
    """
    base = study.base
    threads = study.threads or (base.get("training") or {}).get("threads") or 1
    notes: dict[str, None] = {}
    made: list[tuple[dict[str, str], Recipe]] = []
    folds: list[tuple[tuple[str, Any], ...]] = [()]
    if study.folds:
        folds = [(("split.folds", study.folds), ("split.fold", fold)) for fold in range(study.folds)]
    for seed, fold in product(study.seeds, folds):
        for cell in cells(study):
            words = " ".join(cell.labels.values())
            own = _of_seed((base, list(cell.changes)), seed)
            changes = (*own[1], ("seed", seed), *fold, ("training.threads", threads))
            recipe, left_out = changed_recipe(own[0], changes, origin=f"study {study.name}, cell {words}")
            made.append((cell.labels, recipe))
            notes |= dict.fromkeys(f"{words}: {note}" for note in left_out)
    return made, notes


def _of_seed(value: Any, seed: int) -> Any:
    """``value`` with ``${seed}`` filled in wherever a text in it says so; a text of nothing else becomes the number."""
    match value:
        case "${seed}":
            return seed
        case str():
            return value.replace("${seed}", str(seed))
        case list() | tuple():
            return type(value)(_of_seed(part, seed) for part in value)
        case dict():
            return {key: _of_seed(part, seed) for key, part in value.items()}
    return value
