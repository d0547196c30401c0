"""What the images of a run's training look like, and how many of its validation are unlike them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preceptor.data.prepare import Prepared
from preceptor.deploy.engines import Floats, OnnxEngine
from preceptor.deploy.familiar import FEWEST, Familiar, fitted
from preceptor.deploy.held_out import spread_evenly
from preceptor.deploy.looks import DISTANCE, MICRONS, WIDER, Looks, Ranges, looks_of
from preceptor.errors import UserError

MOST = 256
"""Images of each part that are looked at."""

_SIZES = frozenset({"short side", "long side"})
_USUAL = 0.99  # share of the training images left out of the fit that lie within the range of distances
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Training:
    """What was seen of a run's images.

    Args:
        facts: what ``bundle.json`` says of them.
        familiar: where their embeddings lie; None where the network has none, or the images are too few.
        microns: per pixel, the median of training; None where nobody says it.
    """

    ranges: Ranges
    facts: dict[str, Any]
    familiar: Familiar | None
    microns: float | None


@dataclass(frozen=True, slots=True)
class _Image:
    looks: Looks
    embeddings: Floats | None


def training_looks(prepared: Prepared, engine: OnnxEngine, mpp: float | None = None) -> Training:
    """Look at images of training and of validation.

    The distance of embeddings is fitted on every second image of training, and its range is that of the others.

    Args:
        engine: the model that answers, with its embeddings.
        mpp: microns per pixel, where the files do not say it.

    Raises:
        UserError: the files say something else than ``mpp``.
    """
    is_cut = "parent" in prepared.packed.frame  # images of any size are cut into tiles
    in_training, in_validation = (_seen(prepared, part, engine) for part in ("train", "validation"))
    microns = _microns([image.looks for image in in_training], mpp)
    but = frozenset({MICRONS}) | (_SIZES if is_cut else frozenset())
    ranges = Ranges.around([image.looks for image in in_training], but=but)
    if len(microns):
        ranges = ranges.extended({MICRONS: (min(microns) / (1 + WIDER), max(microns) * (1 + WIDER))})
    familiar = _familiar(in_training[::2])
    if familiar is not None:
        others = [_distance(image, familiar) for image in in_training[1::2]]
        ranges = ranges.extended({DISTANCE: (0.0, float(np.quantile(others, _USUAL)) * (1 + WIDER))})
    left = [ranges.left(_with_distance(image, familiar)) for image in in_validation]
    seen = {
        "training": len(in_training),
        "validation": len(in_validation),
        "validation_outside": sum(map(bool, left)),
        "validation_outside_by": dict(Counter(name for names in left for name in names)),
    }
    return Training(
        ranges, {**ranges.to_json(), "seen": seen}, familiar, float(np.median(microns)) if len(microns) else None
    )


def _microns(looks: Sequence[Looks], mpp: float | None) -> list[float]:
    """Microns per pixel that the files of training say, or else the one that was given."""
    found = [one[MICRONS] for one in looks if MICRONS in one]
    if mpp is None or not found:
        return found or ([] if mpp is None else [mpp])
    if not min(found) / (1 + WIDER) <= mpp <= max(found) * (1 + WIDER):
        raise UserError(
            f"--mpp {mpp:g}: the files of the training images say {min(found):.4g} to {max(found):.4g} microns per "
            "pixel; leave it out, or give what they say"
        )
    return found


def _familiar(images: Sequence[_Image]) -> Familiar | None:
    found = [image.embeddings for image in images if image.embeddings is not None]
    return fitted(np.concatenate(found)) if sum(map(len, found)) >= FEWEST else None


def _distance(image: _Image, familiar: Familiar) -> float:
    assert image.embeddings is not None
    return float(familiar.distances(image.embeddings).mean())


def _with_distance(image: _Image, familiar: Familiar | None) -> Looks:
    return image.looks if familiar is None else image.looks | {DISTANCE: _distance(image, familiar)}


def _seen(prepared: Prepared, part: str, engine: OnnxEngine) -> list[_Image]:
    images = _images(prepared, part)
    embeddings = _embeddings(prepared, images, engine)
    return [_Image(*seen) for seen in zip(_looks(prepared, images), embeddings, strict=True)]


def _looks(prepared: Prepared, images: Sequence[NDArray[np.int64]]) -> Iterator[Looks]:
    packed, stored = prepared.packed, prepared.stored
    is_cut = "parent" in packed.frame
    names = packed.frame["parent" if is_cut else "id"].to_numpy(dtype=object)
    for rows in images:
        name = str(names[rows[0]])
        size = packed.size if is_cut else stored.size(name)
        yield looks_of(list(packed.read(rows)[0]), size, microns=stored.microns(name))


def _embeddings(
    prepared: Prepared, images: Sequence[NDArray[np.int64]], engine: OnnxEngine
) -> list[Floats] | list[None]:
    """Of the pieces of each image, which are asked together with those of others."""
    rows = np.concatenate([*images, np.empty(0, dtype=np.int64)])
    starts = range(0, len(rows), _AT_ONCE)
    found = [engine.embeddings(prepared.packed.read(rows[at : at + _AT_ONCE])[0]) for at in starts]
    known = [one for one in found if one is not None]
    if not known:
        return [None] * len(images)
    return list(np.split(np.concatenate(known), np.cumsum([len(some) for some in images])[:-1]))


def _images(prepared: Prepared, part: str) -> list[NDArray[np.int64]]:
    """The rows of each image that is looked at: one row, or all tiles of an image that gets a mask."""
    packed, rows = prepared.packed, prepared.rows[part]
    if "parent" not in packed.frame or packed.task == "classification":
        return [np.array([row]) for row in spread_evenly(rows, MOST)]
    parents = packed.frame["parent"].to_numpy(dtype=object)[rows]
    starts = np.flatnonzero(np.r_[True, parents[1:] != parents[:-1]])
    images = np.split(rows, starts[1:])
    return [images[at] for at in spread_evenly(np.arange(len(images)), MOST)]
