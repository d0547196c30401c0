"""Whether parts, sites and groups of the data look alike, from what the images of a run look like."""

from collections.abc import Iterable

import numpy as np

from preceptor.measures import drift
from preceptor.measures.drift import Contrast
from preceptor.report.drawing.grid import Datum, Grid, label, number_datum
from preceptor.report.reading.runs import RunRecord

_MOST = 12
"""Groups, or sites, that are listed."""


def drift_table(run: RunRecord) -> Grid | None:
    """Parts against training, sites and groups against all others; None where looks are not known."""
    if run.looks is None or run.split is None:
        return None
    columns = [column for column in run.looks.columns if column not in ("id", "site")]
    looks = run.looks.merge(run.split[["id", "group", "split"]].drop_duplicates("id"), on="id")
    if looks.empty or looks[columns].isna().any(axis=None):
        return None
    values = looks[columns].to_numpy(dtype=np.float64)
    groups = looks["group"].tolist() if looks["group"].notna().all() else None
    sites = looks["site"].astype(object).where(looks["site"].notna(), None).tolist() if "site" in looks else []
    rows = [
        *_rows(drift.parts_against_training(values, looks["split"].tolist(), groups), "training"),
        *_rows(drift.sites_against_others(values, sites, groups)[:_MOST], "all other sites"),
        *_rows(drift.odd_groups(values, groups)[:_MOST] if groups else (), "all others"),
    ]
    caption = _caption(None if groups is None else len(set(groups)), len(set(sites) - {None}))
    return Grid("drift", "Do parts look alike?", (("what", "images", *columns),), tuple(rows), 1, caption)


def _rows(found: Iterable[Contrast], against: str) -> list[tuple[Datum, ...]]:
    return [_row(f"{one.name} – {against}", one) for one in found]


def _row(what: str, one: Contrast) -> tuple[Datum, ...]:
    data = [
        Datum(f"{gap:+.2f}", float(gap), is_warning=bool(is_named), is_best=bool(is_named), numbers={"": float(gap)})
        for gap, is_named in zip(one.differences, one.named, strict=True)
    ]
    return (label(what), number_datum(one.images), *data)


def _caption(groups: int | None, sites: int) -> str:
    words = [
        "Standardised mean differences of brightness, saturation and stain (Ruifrok & Johnston's haematoxylin and "
        f"eosin), as networks see the images. Bold: at least {drift.LARGE} and, by "
        f"{'single images' if groups is None else 'the means of groups'}, no chance (Student's t, "
        f"{100 * drift.LEVEL:g} % over all of them)."
    ]
    if sites > 1:
        shown = f", the {_MOST} farthest" if sites > _MOST else ""
        words.append(f"{sites} sites, each against all others by the same rule{shown}.")
    if groups is not None and groups < drift.FEWEST:
        words.append(f"No group is named: {groups} are too few to say how far groups are apart.")
    elif groups is not None:
        words.append(
            f"Of {groups} groups those are listed that are at least {drift.LARGE_OF_GROUP} from all others and "
            f"could not be one more of them ({100 * drift.LEVEL:g} % over all groups and looks: where nothing differs, "
            "one data set in twenty names any). Several odd groups may hide each other."
        )
    return " ".join(words)
