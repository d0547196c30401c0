"""Classes from the columns of a table: one column of names or numbers, or one column for each class."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from preceptor.data.sources._layout import some_of
from preceptor.errors import UserError
from preceptor.quoting import quoted, shown

Spellings = Literal["error", "join"]
_YES_NO = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


def number_or_none(value: str) -> float | None:
    """``value`` as a number, or None where it is none."""
    try:
        return float(value)
    except ValueError:
        return None


def zero_or_one(value: str) -> float | None:
    """``value`` as a number, where yes, no, true and false are numbers, too."""
    return _YES_NO.get(value.strip().lower(), number_or_none(value))


def labels_in(
    rows: pd.DataFrame,
    label: str,
    class_name: str | None,
    classes: tuple[str, ...] | None,
    spellings: Spellings = "error",
) -> tuple[list[int], tuple[str, ...]]:
    """Label of each row, and the classes: values of the column ``label``, named by those of ``class_name``.

    A row without one, of which the cell is empty, has the label -1.

    Raises:
        UserError: one class, classes that are not those of ``classes``, or names that differ only in spelling.
    """
    is_known = (rows[label].str.strip() != "").to_numpy()
    if not is_known.any():
        raise UserError(
            f"table: column {label} is empty in every row; where there are no labels, use the source images"
        )
    every, rows = rows, rows[is_known]
    values = rows[label]
    if not classes:
        _refuse_joined(values)
    if not classes or spellings == "join":
        values = _one_spelling(values, spellings)
    present = sorted(set(values), key=number_or_text)
    if class_name is not None:
        pairs = rows[[class_name]].assign(**{label: values})[[label, class_name]].drop_duplicates()
        if len(pairs) != len(present) or pairs[class_name].nunique() != len(present):
            clash = pairs[pairs[label].duplicated(keep=False) | pairs[class_name].duplicated(keep=False)]
            told = ", ".join(f"{value} = {name}" for value, name in clash.head(4).itertuples(index=False))
            raise UserError(f"table: columns {label} and {class_name} do not name classes one to one: {told}")
        names = dict(pairs.itertuples(index=False, name=None))
        values = values.map(names)
        present = [names[value] for value in present]
    order = classes or tuple(present)
    if len(order) < 2:
        raise UserError(f"table: column {label} has one class, {present[0]!r}: two or more were expected")
    if set(order) != set(present):
        unknown, empty = set(present) - set(order), set(order) - set(present)
        what = f"holds {some_of(unknown)}, which is not in" if unknown else f"has no {some_of(empty)} of"
        raise UserError(f"table: column {label} {what} the option classes: {', '.join(order)}")
    found = np.full(len(every), -1, dtype=np.int64)
    found[is_known] = [order.index(value) for value in values]
    return found.tolist(), tuple(order)


def _refuse_joined(values: "pd.Series[str]") -> None:
    """UserError where cells hold several classes, as ``Mass|Nodule`` does where ``Mass`` is one."""
    present = set(values)
    for mark, enough in (("|", any), (";", all), (",", all)):
        joined = [value for value in present if mark in value]
        several = [value for value in joined if enough(part.strip() in present for part in value.split(mark))]
        if several:
            count = int(values.isin(joined).sum())
            raise UserError(
                f"table: column {values.name} has several classes in {count} cells, for example "
                f"{quoted(min(several))}: that is multi-label, for which there is no training here; leave these rows "
                "out, or list every value in the option classes if each is a class"
            )


def _one_spelling(values: "pd.Series[str]", spellings: Spellings) -> "pd.Series[str]":
    """Values, those that differ in case, blanks or the form of a number as the most frequent of them."""
    counts = values.value_counts()
    same: dict[str, list[str]] = {}
    for value in counts.index:  # most frequent first
        same.setdefault(_spelling(value), []).append(value)
    several = [sorted(found, key=lambda value: (-int(counts[value]), value)) for found in same.values()]
    several = [found for found in several if len(found) > 1]
    if several and spellings == "error":
        told = "; ".join(" and ".join(f"'{shown(v)}' ({counts[v]})" for v in found) for found in several[:4])
        raise UserError(
            f"table: column {values.name} has labels that differ only in case, blanks or the form of a number: {told}\n"
            "Correct the table; or set the option spellings: join, which takes each as the most frequent spelling; or "
            "list them all in the option classes if they are different classes."
        )
    return values.replace({value: found[0].strip() for found in several for value in found})


def _spelling(value: str) -> str:
    as_number = number_or_none(value)
    if as_number is not None:
        return repr(as_number)
    plain = "".join(letter for letter in unicodedata.normalize("NFC", value) if unicodedata.category(letter) != "Cf")
    return " ".join(plain.split()).casefold()


def number_or_text(value: str) -> tuple[int, Any, str]:
    as_number = number_or_none(value)
    return (1, 0, value) if as_number is None else (0, as_number, value)


def one_hot_labels(
    rows: pd.DataFrame, columns: Sequence[str], classes: tuple[str, ...] | None, file: Path
) -> tuple[list[int], tuple[str, ...], str]:
    """Label of each row, the classes, and a note, where each class has a column of its own with 1 for its images.

    A column without any 1 is no class here, which the note says.

    Raises:
        UserError: values besides 0 and 1, a row without a 1, or with several (multi-label).
    """
    values = rows[list(columns)].map(zero_or_one)
    odd = ~values.isin([0.0, 1.0])
    if odd.to_numpy().any():
        column = next(name for name in columns if odd[name].any())
        first = rows[column][odd[column]].iloc[0]
        raise UserError(
            f"table: column {column} of {file.name} holds {shown(first)!r}: 0 or 1 for each class was expected"
        )
    ones = values.sum(axis=1)
    for rows_with, what in (
        (ones > 1, "several 1s, so it is multi-label: several classes for one image, for which there is no training "
         "here; give one column of classes, or leave these rows out"),
        (ones < 1, "no 1 in any of the columns of classes; leave these rows out, or give them a class"),
    ):  # fmt: skip
        if rows_with.any():
            line = int(rows.index[rows_with][0]) + 2
            raise UserError(
                f"table: {file.name} has {int(rows_with.sum())} rows, the first is line {line}, with {what} "
                f"(columns {', '.join(columns)})"
            )
    empty = [name for name in columns if not (values[name] == 1).any()]
    held = tuple(name for name in columns if name not in empty)
    order = classes or held
    if set(order) != set(held):
        raise UserError(f"table: the columns with a 1 are {', '.join(held)}, the option classes has {', '.join(order)}")
    if len(order) < 2:
        raise UserError(f"table: {file.name} has one class, {held[0]!r}: two or more were expected")
    note = f"{some_of(set(empty))} of {file.name} has no image and is no class: {len(order)} classes." if empty else ""
    chosen = values[list(order)].to_numpy().argmax(axis=1)
    return [int(label) for label in chosen], order, note
