"""The cells of a study: every combination of the axes' options, without those left out and with those added."""

from dataclasses import dataclass
from itertools import product
from typing import Any

from preceptor.errors import UserError
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
