"""Scores of single test samples over seeds: what intervals and paired tests are made of."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from preceptor.measures import placements
from preceptor.measures.arrays import Float64
from preceptor.measures.calibration import BINS, bins_of
from preceptor.measures.fidelity import kl_of_samples
from preceptor.measures.segmentation import intersection_over_union, mask_f1
from preceptor.report.reading.runs import Predictions, Run

Blocks = Mapping[str, Float64]
"""Name -> (N, M) addends of each sample, or (B, M) sums of them."""

Statistic = Callable[[Blocks], Float64]
"""(B, M) sums -> (B,) values; NaN where a resample leaves it undefined."""


def addends(found: Predictions, network: str) -> Blocks:
    """All that the metrics of a network's task are made of, as addends of each sample."""
    return _of_masks(found, network) if found.labels is None else _of_classes(found, network)


def statistics_of(task: str) -> Mapping[str, Statistic]:
    """How each metric follows from sums of :func:`addends`."""
    return _CLASSES if task == "classification" else _MASKS


def per_sample(task: str, metric: str) -> tuple[str, Callable[[Predictions, str], Float64]] | None:
    """The per-sample score (N,) whose mean stands for ``metric`` in a paired test, and its name; None without one."""
    if task == "classification":
        return ("accuracy", _right) if metric == "accuracy" else None
    if metric in ("iou", "iou_per_image"):
        return "IoU per image", lambda found, network: _of_images(intersection_over_union, found, network)
    if metric in ("f1", "f1_per_image"):
        return "F1 per image", lambda found, network: _of_images(mask_f1, found, network)
    return None


def groups_of(runs: Sequence[Run], ids: Sequence[str]) -> list[str] | None:
    """The group of every sample, by the runs' ``split.csv``; None where a group is not known."""
    known: dict[str, str] = {}
    for run in runs:
        if run.group_of is None:
            return None
        known |= run.group_of
    return [known[name] for name in ids] if all(name in known for name in ids) else None


def stacked(runs: Mapping[int, Run], network: str) -> tuple[list[str], list[Blocks]] | None:
    """Addends of every sample, seed by seed.

    Where each seed has a split of its own, a sample that a seed does not test adds nothing to it.

    Returns:
        sample ids, the blocks of each seed; None where a run says nothing of the network.
    """
    answers = [answer for run in runs.values() if (answer := run.predictions) and network in answer.networks]
    if len(answers) < len(runs):
        return None
    ids = list(dict.fromkeys(str(name) for answer in answers for name in answer.ids))
    place = {name: row for row, name in enumerate(ids)}
    seeds: list[Blocks] = []
    for answer in answers:
        rows = [place[str(name)] for name in answer.ids]
        blocks = {}
        for name, values in addends(answer, network).items():
            blocks[name] = np.zeros((len(ids), values.shape[1]))
            blocks[name][rows] = values
        seeds.append(blocks)
    return ids, seeds


def _right(found: Predictions, network: str) -> Float64:
    right: Float64 = (found.networks[network].argmax(axis=1) == found.labels).astype(np.float64)
    return right


def _of_images(measure: Callable[[NDArray[np.int64]], Float64], found: Predictions, network: str) -> Float64:
    mean: Float64 = measure(found.networks[network]).mean(axis=1)
    return mean


def _ratio(part: str, whole: str = "count") -> Statistic:
    """Sum over sum, both of one column."""
    return lambda sums: sums[part][:, 0] / np.maximum(sums[whole][:, 0], 1e-12)


# Classes -------------------------------------------------------------------------------------------------------------


def _of_classes(found: Predictions, network: str) -> Blocks:
    chances, labels = found.networks[network], found.labels
    assert labels is not None
    decided, confidence = chances.argmax(axis=1), chances.max(axis=1)
    labelled, predicted = (values[:, None] == np.arange(chances.shape[1]) for values in (labels, decided))
    gaps = np.zeros((len(labels), BINS))
    gaps[np.arange(len(labels)), bins_of(confidence)] = (decided == labels) - confidence
    blocks = {
        "count": np.ones((len(labels), 1)),
        "right": (decided == labels)[:, None].astype(np.float64),
        "labelled": labelled.astype(np.float64),
        "predicted": predicted.astype(np.float64),
        "hits": (labelled & predicted).astype(np.float64),
        "gaps": gaps,
        **_areas(chances, labelled),
    }
    if network != "T" and "T" in found.networks:
        teacher = found.networks["T"]
        blocks["agrees"] = (decided == teacher.argmax(axis=1))[:, None].astype(np.float64)
        blocks["kl"] = kl_of_samples(chances, teacher)[:, None]
    return blocks


def _areas(chances: Float64, labelled: NDArray[np.bool_]) -> Blocks:
    """What each sample adds to the AUROC A of each class (of class 1 where there are two), to first order.

    A positive adds the share of negatives below it, a negative how much the share of positives above it is off A, so
    that the mean over positives plus that over negatives is A for all samples, and its linearisation for a resample.
    """
    columns = [1] if chances.shape[1] == 2 else range(chances.shape[1])
    above, below = np.zeros((2, *chances.shape))
    for column in columns:
        positive = labelled[:, column]
        if 0 < positive.sum() < len(positive):
            of_positives, of_negatives = placements(chances[:, column], positive)
            above[positive, column] = of_positives
            below[~positive, column] = of_negatives - of_negatives.mean()
    return {"above": above[:, columns], "below": below[:, columns]}


def _area(sums: Blocks) -> Float64:
    """As ``auroc``: of class 1, or the mean over the classes that are labelled."""
    positives = sums["labelled"]
    negatives = sums["count"] - positives
    if positives.shape[1] == 2:
        positives, negatives = positives[:, 1:], negatives[:, 1:]
    known = (positives > 0) & (negatives > 0)
    area = sums["above"] / np.maximum(positives, 1) + sums["below"] / np.maximum(negatives, 1)
    count = known.sum(axis=1)
    mean = (np.clip(area, 0, 1) * known).sum(axis=1) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan)


def _calibration(sums: Blocks) -> Float64:
    """As ``expected_calibration_error``."""
    error: Float64 = np.abs(sums["gaps"]).sum(axis=1) / np.maximum(sums["count"][:, 0], 1e-12)
    return error


def _macro(name: str) -> Statistic:
    """As ``confusion_scores``: the mean over the classes that occur among labels or predictions."""

    def statistic(sums: Blocks) -> Float64:
        hits, labelled, predicted = sums["hits"], sums["labelled"], sums["predicted"]
        if name == "precision":
            values = hits / np.maximum(predicted, 1)
        elif name == "recall":
            values = hits / np.maximum(labelled, 1)
        else:
            values = 2 * hits / np.maximum(labelled + predicted, 1)
        occurs = labelled + predicted > 0
        mean: Float64 = (values * occurs).sum(axis=1) / np.maximum(occurs.sum(axis=1), 1)
        return mean

    return statistic


_CLASSES: Mapping[str, Statistic] = {
    "accuracy": _ratio("right"),
    **{name: _macro(name) for name in ("precision", "recall", "f1")},
    "auroc": _area,
    "ece": _calibration,
    "fidelity.agreement": _ratio("agrees"),
    "fidelity.kl": _ratio("kl"),
}


# Masks ---------------------------------------------------------------------------------------------------------------


def _of_masks(found: Predictions, network: str) -> Blocks:
    counts = found.networks[network]
    return {
        "count": np.ones((len(counts), 1)),
        "pixels": counts.reshape(len(counts), -1).astype(np.float64),  # (N, K·4) of each foreground class
        "iou": _of_images(intersection_over_union, found, network)[:, None],
        "f1": _of_images(mask_f1, found, network)[:, None],
    }


def _pooled(measure: Callable[[NDArray[np.int64]], Float64]) -> Statistic:
    """As ``segmentation_scores``: the mean over the classes that occur."""

    def statistic(sums: Blocks) -> Float64:
        counts = sums["pixels"].reshape(len(sums["pixels"]), -1, 4)
        occurs = counts[..., :3].sum(axis=-1) > 0
        values = np.where(occurs, measure(counts.round().astype(np.int64)), 0.0)
        return np.where(occurs.any(axis=1), values.sum(axis=1) / np.maximum(occurs.sum(axis=1), 1), 1.0)

    return statistic


_MASKS: Mapping[str, Statistic] = {
    "iou": _pooled(intersection_over_union),
    "f1": _pooled(mask_f1),
    "iou_per_image": _ratio("iou"),
    "f1_per_image": _ratio("f1"),
}
