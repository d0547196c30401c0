"""``predictions/PART.csv``: what every network of a run says of the same samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.errors import UserError
from preceptor.files import write_with
from preceptor.measures.segmentation import COUNTS
from preceptor.measures.surface import SURFACES
from preceptor.runs.finished import FinishedRun
from preceptor.runs.tables import table_from

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What every network of a run says of the same samples.

    Args:
        ids: (N,) of samples, or of whole images for masks.
        labels: (N,) classes; None for masks.
        networks: name -> (N, C) probabilities, or (N, K, 4) pixel counts of each foreground class.
        surfaces: name -> (N, K, 2) of the outlines of masks; empty where they were not measured.
        tolerance: of the surface Dice, with the unit of distances, such as ``2 px``.
    """

    ids: Array
    labels: Array | None
    networks: Mapping[str, Array]
    surfaces: Mapping[str, Array] = field(default_factory=dict)
    tolerance: str = ""


def joined_predictions(answers: Sequence[Predictions]) -> Predictions:
    """Answers about different samples, one below the other, of the networks that all have."""
    names = [name for name in answers[0].networks if all(name in answer.networks for answer in answers)]
    labels = [answer.labels for answer in answers if answer.labels is not None]
    return Predictions(
        ids=np.concatenate([answer.ids for answer in answers]),
        labels=np.concatenate(labels) if labels else None,
        networks={name: np.concatenate([answer.networks[name] for answer in answers]) for name in names},
        surfaces={
            name: np.concatenate([answer.surfaces[name] for answer in answers])
            for name in names
            if all(name in answer.surfaces for answer in answers)
        },
        tolerance=answers[0].tolerance,
    )


def write_predictions(path: Path, table: pd.DataFrame) -> None:
    """Write a row per network and sample: id, label, network, p_0 … or id, network, class and pixel counts."""
    write_with(path, lambda temporary: table.to_csv(temporary, index=False, float_format="%.7g"))


def read_predictions(run: FinishedRun, part: str) -> Predictions | None:
    """What the networks of a run said of ``part``; None where the file is gone or empty.

    Raises:
        UserError: the file is damaged.
    """
    path = run.files.predictions_of(part)
    try:
        content = run.content(path)
    except FileNotFoundError:
        return None
    table = table_from(content, path, ("id", "network"), {"id": str, "network": str})
    if table is None or table.empty:
        return None
    frames = {str(name): frame for name, frame in table.groupby("network", sort=False)}
    first = next(iter(frames.values()))
    if any(not np.array_equal(frame["id"].to_numpy(), first["id"].to_numpy()) for frame in frames.values()):
        raise UserError(f"{path}: its networks were asked about different samples; evaluate the run anew")
    if "label" in table:
        return _of_classes(frames)
    return _with_surfaces(run, part, _of_masks(path, frames))


def _with_surfaces(run: FinishedRun, part: str, found: Predictions) -> Predictions:
    """With what is known of outlines; runs of older versions have none."""
    path = run.files.surfaces_of(part)
    try:
        table = table_from(
            run.content(path),
            path,
            ("id", "network", "class", *SURFACES, "unit", "tolerance"),
            {"id": str, "network": str},
        )
    except FileNotFoundError:
        return found
    if table is None or table.empty:
        return found
    surfaces = {}
    for name, rows in table.groupby("network", sort=False):
        blocks = [block for _, block in rows.groupby("class")]
        if any(not np.array_equal(block["id"].to_numpy(), found.ids) for block in blocks):
            raise UserError(f"{path}: it is of other images than {run.files.predictions_of(part)}")
        surfaces[str(name)] = np.stack([block[list(SURFACES)].to_numpy(dtype=np.float64) for block in blocks], axis=1)
    return replace(found, surfaces=surfaces, tolerance=f"{table['tolerance'].iloc[0]:g} {table['unit'].iloc[0]}")


def _of_classes(frames: Mapping[str, pd.DataFrame]) -> Predictions:
    first = next(iter(frames.values()))
    chances = [column for column in first if str(column).startswith("p_")]
    return Predictions(
        ids=first["id"].to_numpy(dtype=object),
        labels=first["label"].to_numpy(dtype=np.int64),
        networks={name: frame[chances].to_numpy(dtype=np.float64) for name, frame in frames.items()},
    )


def _of_masks(path: Path, frames: Mapping[str, pd.DataFrame]) -> Predictions:
    first = next(iter(frames.values()))
    count = first["class"].nunique()  # a block of all images per foreground class
    if len(first) % count:
        raise UserError(f"{path}: some images lack a row for each of the {count} foreground classes")
    images = len(first) // count
    return Predictions(
        ids=first["id"].to_numpy(dtype=object)[:images],
        labels=None,
        networks={
            name: frame[list(COUNTS)].to_numpy(dtype=np.int64).reshape(count, images, 4).swapaxes(0, 1)
            for name, frame in frames.items()
        },
    )
