"""Scores of single test samples over seeds: what intervals and paired tests are made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preceptor.measures.arrays import Float64
from preceptor.measures.segmentation import intersection_over_union, mask_f1
from preceptor.report.runs import Predictions, Run

Columns = Callable[[Predictions, str], Float64 | None]
Statistic = Callable[[Float64], Float64]


@dataclass(frozen=True, slots=True)
class Summed:
    """A metric as a function of sums over samples.

    Args:
        columns: predictions and network -> (N, M) addends of each sample.
        statistic: (B, M) sums -> (B,) values.
    """

    columns: Callable[[Predictions, str], Float64]
    statistic: Statistic


def summed(task: str, metric: str) -> Summed | None:
    """How ``metric`` follows from sums, None for one that does not (AUROC, ECE)."""
    found = {"classification": _CLASSES, "segmentation": _MASKS}.get(task, {})
    return found.get(metric)


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


def stacked(runs: Mapping[int, Run], network: str, metric: str) -> tuple[list[str], Float64, int] | None:
    """Addends of a metric for every sample and seed.

    Where each seed has a split of its own, a sample that a seed does not test adds nothing to it.

    Returns:
        sample ids, (N, S·M) columns, S; None where the metric has no addends or a run no such network.
    """
    found = summed(next(iter(runs.values())).task, metric)
    answers = [run.predictions for run in runs.values()]
    if found is None or any(answer is None or network not in answer.networks for answer in answers):
        return None
    ids = list(dict.fromkeys(str(name) for answer in answers if answer for name in answer.ids))
    place = {name: row for row, name in enumerate(ids)}
    parts = []
    for answer in answers:
        assert answer is not None
        addends = found.columns(answer, network)
        column = np.zeros((len(ids), addends.shape[1]))
        column[[place[str(name)] for name in answer.ids]] = addends
        parts.append(column)
    return ids, np.concatenate(parts, axis=1), len(parts)


def mean_over_seeds(statistic: Statistic, sums: Float64, seeds: int) -> Float64:
    """(B, S·M) sums -> (B,) mean of the seeds' statistics."""
    values: Float64 = np.mean([statistic(part) for part in np.split(sums, seeds, axis=1)], axis=0)
    return values


def _right(found: Predictions, network: str) -> Float64:
    right: Float64 = (found.networks[network].argmax(axis=1) == found.labels).astype(np.float64)
    return right


def _of_images(measure: Callable[[NDArray[np.int64]], Float64], found: Predictions, network: str) -> Float64:
    mean: Float64 = measure(found.networks[network]).mean(axis=1)
    return mean


def _with_ones(values: Float64) -> Float64:
    return np.stack([values, np.ones_like(values)], axis=1)


def _ratio(sums: Float64) -> Float64:
    return sums[:, 0] / np.maximum(sums[:, 1], 1e-12)


def _cells(found: Predictions, network: str) -> Float64:
    """(N, C²): a one in the cell of the confusion matrix."""
    assert found.labels is not None
    chances = found.networks[network]
    classes = chances.shape[1]
    ones: Float64 = np.eye(classes**2)[found.labels * classes + chances.argmax(axis=1)]
    return ones


def _confusion(name: str) -> Statistic:
    """As ``confusion_scores``, for many matrices at once."""

    def statistic(sums: Float64) -> Float64:
        classes = round(sums.shape[1] ** 0.5)
        tables = sums.reshape(-1, classes, classes)
        hits, labelled, predicted = np.einsum("bcc->bc", tables), tables.sum(axis=2), tables.sum(axis=1)
        parts = {
            "precision": hits / np.maximum(predicted, 1),
            "recall": hits / np.maximum(labelled, 1),
            "f1": 2 * hits / np.maximum(labelled + predicted, 1),
        }
        occurs = labelled + predicted > 0
        values: Float64 = (parts[name] * occurs).sum(axis=1) / np.maximum(occurs.sum(axis=1), 1)
        return values

    return statistic


def _pixels(found: Predictions, network: str) -> Float64:
    """(N, K·4) counts of each foreground class."""
    counts = found.networks[network]
    addends: Float64 = counts.reshape(len(counts), -1).astype(np.float64)
    return addends


def _pooled(measure: Callable[[NDArray[np.int64]], Float64]) -> Statistic:
    """As ``segmentation_scores``: the mean over the classes that occur."""

    def statistic(sums: Float64) -> Float64:
        counts = sums.reshape(len(sums), -1, 4)
        occurs = counts[..., :3].sum(axis=-1) > 0
        values = np.where(occurs, measure(counts.round().astype(np.int64)), 0.0)
        return np.where(occurs.any(axis=1), values.sum(axis=1) / np.maximum(occurs.sum(axis=1), 1), 1.0)

    return statistic


_CLASSES = {
    "accuracy": Summed(lambda found, network: _with_ones(_right(found, network)), _ratio),
    **{name: Summed(_cells, _confusion(name)) for name in ("precision", "recall", "f1")},
}
_MASKS = {
    "iou": Summed(_pixels, _pooled(intersection_over_union)),
    "f1": Summed(_pixels, _pooled(mask_f1)),
    "iou_per_image": Summed(lambda f, n: _with_ones(_of_images(intersection_over_union, f, n)), _ratio),
    "f1_per_image": Summed(lambda f, n: _with_ones(_of_images(mask_f1, f, n)), _ratio),
}
