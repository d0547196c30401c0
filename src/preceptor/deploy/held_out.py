"""Images of a run on which its export is checked and judged: validation, never test."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preceptor.data.prepare import Prepared
from preceptor.data.samples import Pixels
from preceptor.deploy.engines import Engine, in_batches

ENOUGH = 64
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Sample:
    """Pieces of some images with the truth about them.

    Args:
        pixels: (N, H, W, C).
        labels: (N,) classes, or (N, H, W) masks.
        groups: (N,) patient, lesion, slide, or the image that tiles were cut from; None where each stands alone.
        note: what the user should know of the choice, or nothing.
    """

    pixels: Pixels
    labels: NDArray[np.int64]
    groups: list[str] | None
    note: str = ""


def validation_sample(prepared: Prepared, most: int) -> Sample:
    """Up to ``most`` validation images, spread evenly."""
    return _sample(prepared, spread_evenly(prepared.rows["validation"], most))


def training_sample(prepared: Prepared, most: int) -> Sample:
    """Up to ``most`` training images, spread evenly."""
    return _sample(prepared, spread_evenly(prepared.rows["train"], most))


def parity_sample(prepared: Prepared, most: int = 256) -> Sample:
    """Up to ``most`` validation images, filled up from training images where there are fewer than :data:`ENOUGH`."""
    rows = spread_evenly(prepared.rows["validation"], most)
    more = spread_evenly(prepared.rows["train"], max(0, ENOUGH - len(rows)))
    if not len(more):
        return _sample(prepared, rows)
    note = f"validation has {len(rows)} images, so {len(more)} training images were compared too"
    return _sample(prepared, np.concatenate([rows, more]), note)


def validation_answers(
    engine: Engine, prepared: Prepared, most: int
) -> tuple[NDArray[np.float32], NDArray[np.int64], list[str] | None]:
    """Logits (N, C), labels and groups of up to ``most`` validation samples, a few of them in memory at a time."""
    rows = spread_evenly(prepared.rows["validation"], most)
    samples = (_sample(prepared, rows[first : first + _AT_ONCE]) for first in range(0, len(rows), _AT_ONCE))
    logits, labels, groups = [], [], []
    for sample in samples:
        logits += in_batches(engine, list(sample.pixels), 32)
        labels.append(sample.labels)
        groups += sample.groups or []
    return np.stack(logits), np.concatenate(labels), groups or None


def spread_evenly(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of some rows."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)] if most else rows[:0]


def _sample(prepared: Prepared, rows: NDArray[np.int64], note: str = "") -> Sample:
    packed = prepared.packed
    pixels, masks = packed.read(rows)
    labels = prepared.labels(rows) if masks is None else masks.astype(np.int64)
    assert labels is not None
    is_tiled = "parent" in packed.frame
    column = "group" if prepared.grouped_by is not None else "parent" if is_tiled else None
    groups = None if column is None else [str(name) for name in packed.frame[column].to_numpy(dtype=object)[rows]]
    return Sample(pixels, labels, groups, note)
