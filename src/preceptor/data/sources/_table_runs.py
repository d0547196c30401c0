"""Masks as runs in a table: one or several rows for each image, of one class or of several."""

from dataclasses import dataclass

import pandas as pd

from preceptor.data.masks.runs import EMPTY, RunOrder, Runs
from preceptor.data.sources._layout import some_of
from preceptor.data.sources._table_labels import number_or_none, number_or_text
from preceptor.errors import UserError
from preceptor.quoting import quoted, shown

BACKGROUND, FOREGROUND = "background", "foreground"


@dataclass(frozen=True)
class RunColumns:
    """Columns that hold runs.

    Args:
        texts: one with the runs, or one for each class, which is called like it.
        of: the column with the class of each row; None where there is one class, or a column for each. Where it is
            that of the image, both stand in it: ``0001.jpg_fish`` is ``fish`` in ``0001.jpg``.
        order: pixels are counted so.
    """

    texts: tuple[str, ...]
    of: str | None
    order: RunOrder


def runs_in(
    rows: pd.DataFrame, image: str, columns: RunColumns, classes: tuple[str, ...] | None
) -> tuple[pd.DataFrame, Runs, tuple[str, ...]]:
    """One row for each image, the runs of all its rows, and the classes, background first.

    Args:
        classes: background first; by default as the table tells.

    Raises:
        UserError: classes that are not those of the table, or runs without one.
    """
    if columns.of is not None and len(columns.texts) > 1:
        raise UserError("table: the option rle_class is for one column of runs, and rle names several; leave it out")
    if columns.of == image:
        rows = _parted(rows, image)
        columns = RunColumns(columns.texts, _OF, columns.order)
    found = _values(rows, columns)
    names, values = _named(found, columns, classes)
    texts: dict[str, list[str]] = {name: [] for name in rows[image].unique()}
    of: dict[str, list[int]] = {name: [] for name in texts}
    for column, kinds in zip(columns.texts, found, strict=True):
        for name, text, kind in zip(rows[image], rows[column], kinds, strict=True):
            texts[name].append(text)
            of[name].append(values[kind])
    is_binary = len(names) == 2
    every = None if is_binary else tuple(map(tuple, of.values()))
    once = rows.drop_duplicates(image).drop(columns=[_OF], errors="ignore")
    return once, Runs(tuple(map(tuple, texts.values())), columns.order, every), names


_OF = "\0class"  # no column of a table is called so


def _parted(rows: pd.DataFrame, image: str) -> pd.DataFrame:
    """The class behind the last underscore of the image's name, as a column of its own."""
    both = rows[image].str.rpartition("_")
    lacking = rows.index[both[0] == ""]
    if len(lacking):
        name = quoted(str(rows.at[lacking[0], image]))
        raise UserError(
            f"table: {name} in line {lacking[0] + 2} has no class behind an underscore; "
            "set the option rle_class to the column with the class"
        )
    return rows.assign(**{image: both[0], _OF: both[2]})


def _values(rows: pd.DataFrame, columns: RunColumns) -> list[list[str]]:
    """The class of each row, as the table has it, for every column of runs."""
    if len(columns.texts) > 1:
        return [[column] * len(rows) for column in columns.texts]
    if columns.of is None:
        return [[FOREGROUND] * len(rows)]
    of, texts = rows[columns.of].str.strip(), rows[columns.texts[0]].str.strip()
    lacking = rows.index[(of == "") & ~texts.isin(EMPTY)]
    if len(lacking):
        raise UserError(f"table: {len(lacking)} rows have runs and no class, the first is line {lacking[0] + 2}")
    return [of.tolist()]


def _named(
    found: list[list[str]], columns: RunColumns, classes: tuple[str, ...] | None
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The classes, and the value of each that the table names; a row without runs may name none."""
    told = dict.fromkeys(kind for kinds in found for kind in kinds if kind)
    present = list(told) if len(columns.texts) > 1 else sorted(told, key=number_or_text)
    if columns.of is None and len(columns.texts) == 1:
        return classes or (BACKGROUND, FOREGROUND), {FOREGROUND: 1}
    names = classes or (BACKGROUND, *present)
    if set(present) <= set(names[1:]):
        return names, {"": 0, **{name: names.index(name) for name in present}}
    numbers = {name: number_or_none(name) for name in present}
    if all(value is not None and value in range(1, len(names)) for value in numbers.values()):
        return names, {"": 0, **{name: int(value or 0) for name, value in numbers.items()}}
    raise UserError(
        f"table: the classes of the runs are {some_of(present)}, those of the option classes "
        f"{shown(', '.join(names))}; "
        "name the same, background first, or as many as the table has numbers"
    )
