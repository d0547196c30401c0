"""Whether parts and groups of the data look alike, from what the images of a run look like."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from preceptor.measures import drift
from preceptor.measures.arrays import Flags, Float64
from preceptor.report.drawing.grid import Datum, Grid, label, number_datum
from preceptor.report.reading.runs import RunRecord

_OTHERS = ("validation", "test")
_MOST = 12
"""Groups that are listed."""


def drift_table(run: RunRecord) -> Grid | None:
    """Parts against training, and the groups that look unlike all others; None where looks are not known."""
    if run.looks is None or run.split is None:
        return None
    columns = [column for column in run.looks.columns if column != "id"]
    looks = run.looks.merge(run.split[["id", "group", "split"]].drop_duplicates("id"), on="id")
    if looks.empty or looks[columns].isna().any(axis=None):
        return None
    grouped = bool(looks["group"].notna().all())
    rows = [*_part_rows(looks, columns, grouped), *(_group_rows(looks, columns) if grouped else ())]
    return Grid(
        "drift", "Do parts look alike?", (("what", "images", *columns),), tuple(rows), 1, _caption(looks, grouped)
    )


def _part_rows(looks: pd.DataFrame, columns: Sequence[str], grouped: bool) -> list[tuple[Datum, ...]]:
    parts = {part: looks[looks["split"] == part] for part in ("train", *_OTHERS)}
    shown = [part for part in _OTHERS if len(parts[part])]
    train = parts["train"]
    if train.empty or not shown:
        return []
    gaps, p_values = np.zeros((len(shown), len(columns))), np.ones((len(shown), len(columns)))
    for row, part in enumerate(shown):
        for place, column in enumerate(columns):
            mine, theirs = (_values(one, column) for one in (parts[part], train))
            gaps[row, place] = drift.standardised_difference(mine, theirs)
            units = [_units(one, column, grouped) for one in (parts[part], train)]
            p_values[row, place] = drift.part_p_value(*units)
    named = drift.named_parts(gaps, p_values)
    return [_row(f"{part} – training", len(parts[part]), gaps[row], named[row]) for row, part in enumerate(shown)]


def _group_rows(looks: pd.DataFrame, columns: Sequence[str]) -> list[tuple[Datum, ...]]:
    """Of the groups that are named, the farthest first."""
    groups = looks["group"].to_numpy(dtype=object)
    names = list(dict.fromkeys(groups.tolist()))
    gaps, p_values = np.zeros((len(names), len(columns))), np.ones((len(names), len(columns)))
    for place, column in enumerate(columns):
        values = _values(looks, column)
        p_values[:, place] = drift.group_p_values(drift.group_means(values, groups.tolist()))
        for row, name in enumerate(names):
            mine = groups == name
            gaps[row, place] = 0.0 if mine.all() else drift.standardised_difference(values[mine], values[~mine])
    named = drift.named_groups(gaps, p_values)
    far = [int(row) for row in np.argsort(-np.abs(gaps).max(axis=1), kind="stable") if named[row].any()]
    return [
        _row(f"{names[row]} – all others", int((groups == names[row]).sum()), gaps[row], named[row])
        for row in far[:_MOST]
    ]


def _row(what: str, images: int, gaps: Float64, named: Flags) -> tuple[Datum, ...]:
    data = [
        Datum(f"{gap:+.2f}", float(gap), is_warning=bool(is_named), is_best=bool(is_named), numbers={"": float(gap)})
        for gap, is_named in zip(gaps, named, strict=True)
    ]
    return (label(what), number_datum(images), *data)


def _values(looks: pd.DataFrame, column: str) -> Float64:
    return looks[column].to_numpy(dtype=np.float64)


def _units(looks: pd.DataFrame, column: str, grouped: bool) -> Float64:
    values = _values(looks, column)
    return drift.group_means(values, looks["group"].tolist()) if grouped else values


def _caption(looks: pd.DataFrame, grouped: bool) -> str:
    count = looks["group"].nunique() if grouped else 0
    words = (
        "Standardised mean differences of brightness, saturation and stain (Ruifrok & Johnston's haematoxylin and "
        f"eosin), as networks see the images. Bold: at least {drift.LARGE} and, by the means of "
        f"{'groups' if grouped else 'images'}, no chance (Welch's test, {100 * drift.LEVEL:g} % over all of them)."
    )
    if not grouped:
        return words
    if count < drift.FEWEST:
        return f"{words} No group is named: {count} are too few to say how far groups are apart."
    return (
        f"{words} Of {count} groups those are listed that are at least {drift.LARGE_OF_GROUP} from all others and "
        f"could not be one more of them (Student's t on the groups' means; {100 * drift.LEVEL:g} % over all groups and "
        "looks: where nothing differs, one data set in twenty names any). Several odd groups may hide each other."
    )
