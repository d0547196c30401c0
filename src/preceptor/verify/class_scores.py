"""Every score of classes from its definition: of all samples, and from sums over samples for resamples."""

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

from preceptor.verify.answers import Array, Said, UnknownError
from preceptor.verify.score import Score, first_by_second

_DIGITS = 1e-7
"""Probabilities are kept with seven digits: values that are closer may have been in any order."""

_TINY = float(np.finfo(np.float32).tiny)
_BINS = np.linspace(0, 1, 16)


def _labels(said: Said) -> Array:
    assert said.labels is not None, "asked of classes"
    return said.labels


def _answered(values: Array) -> Array:
    return np.asarray(np.argmax(values, axis=1))


def _unsure(values: Array) -> Array:
    """Samples whose two largest probabilities are the same in seven digits."""
    top = np.sort(values, axis=1)[:, -2:]
    return np.asarray(top[:, 1] - top[:, 0] <= _DIGITS * top[:, 1])


def _answer_slack(said: Said) -> float:
    return float(2 * _unsure(said.values).mean())


# Right and wrong answers ------------------------------------------------------------


def _accuracy(said: Said) -> float:
    return float(np.mean(_answered(said.values) == _labels(said)))


def _right_columns(said: Said) -> Array:
    right = _answered(said.values) == _labels(said)
    return np.column_stack([right, np.ones(len(right))]).astype(float)


def _macro(of_class: Callable[[Array, Array, Array], Array]) -> Callable[[Said], float]:
    """Mean of (hits, labelled, predicted) over classes that a label or an answer names."""

    def whole(said: Said) -> float:
        labels, answers, found = _labels(said), _answered(said.values), []
        for c in range(said.values.shape[1]):
            labelled, predicted = np.sum(labels == c), np.sum(answers == c)
            if labelled + predicted:
                found.append(of_class(np.sum((labels == c) & (answers == c)), labelled, predicted))
        return float(np.mean(found))

    return whole


def _table_columns(said: Said) -> Array:
    """(N, C²) which cell of the confusion matrix a sample is in."""
    count = said.values.shape[1]
    cells = np.zeros((len(said.ids), count * count))
    cells[np.arange(len(said.ids)), _labels(said) * count + _answered(said.values)] = 1
    return cells


def _macro_of_sums(of_class: Callable[[Array, Array, Array], Array]) -> Callable[[Array], Array]:
    """The same of sums (B, C²) of confusion matrices."""

    def of_sums(sums: Array) -> Array:
        count = round(sums.shape[1] ** 0.5)
        matrices = sums.reshape(-1, count, count)
        labelled, predicted = matrices.sum(axis=2), matrices.sum(axis=1)
        known = labelled + predicted > 0
        each = of_class(np.diagonal(matrices, axis1=1, axis2=2), labelled, predicted)
        return np.asarray(np.where(known, each, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))

    return of_sums


def _macro_score(of_class: Callable[[Array, Array, Array], Array]) -> Score:
    return Score(_macro(of_class), _answer_slack, _table_columns, _macro_of_sums(of_class))


# Ranking ------------------------------------------------------------


def _ranked_classes(said: Said) -> list[int]:
    return [1] if said.values.shape[1] == 2 else list(range(said.values.shape[1]))


def area(scores: Array, positive: Array) -> float:
    """The area under the ROC curve, from midranks (Mann & Whitney)."""
    above = int(positive.sum())
    ranks = rankdata(scores)[positive].sum()
    return float((ranks - above * (above + 1) / 2) / (above * (len(scores) - above)))


def _auroc(said: Said) -> float | None:
    labels = _labels(said)
    if len(np.unique(labels)) < 2:
        return None
    named = [c for c in _ranked_classes(said) if (labels == c).any()]
    return float(np.mean([area(said.values[:, c], labels == c) for c in named]))


def _tied(said: Said) -> float:
    """Half of the pairs of a positive and a negative that have the same probability in seven digits."""
    labels, found = _labels(said), []
    for c in _ranked_classes(said):
        above, below = said.values[labels == c, c], np.sort(said.values[labels != c, c])
        if len(above) and len(below):
            fewer = np.searchsorted(below, above * (1 - _DIGITS), side="left")
            more = np.searchsorted(below, above * (1 + _DIGITS), side="right")
            found.append(float((more - fewer).mean() / len(below) / 2))
    return float(np.mean(found)) if found else 0.0


def placements(scores: Array, positive: Array) -> tuple[Array, Array]:
    """Of each positive the share of negatives below it, of each negative that of positives above it; ties are half."""
    ranks, above, below = rankdata(scores), rankdata(scores[positive]), rankdata(scores[~positive])
    return (ranks[positive] - above) / len(below), 1 - (ranks[~positive] - below) / len(above)


def _area_columns(said: Said) -> Array:
    """(N, 4K): placement as a positive, that as a negative less its mean, whether positive, whether negative."""
    blocks, labels = [], _labels(said)
    for c in _ranked_classes(said):
        positive = labels == c
        block = np.zeros((len(labels), 4))
        block[:, 2], block[:, 3] = positive, ~positive
        if positive.any() and not positive.all():
            of_positives, of_negatives = placements(said.values[:, c], positive)
            block[positive, 0], block[~positive, 1] = of_positives, of_negatives - of_negatives.mean()
        blocks.append(block)
    return np.concatenate(blocks, axis=1)


def _area_of_sums(sums: Array) -> Array:
    total, count = np.zeros(len(sums)), np.zeros(len(sums))
    for block in np.split(sums, sums.shape[1] // 4, axis=1):
        known = (block[:, 2] > 0) & (block[:, 3] > 0)
        found = block[:, 0] / np.maximum(block[:, 2], 1) + block[:, 1] / np.maximum(block[:, 3], 1)
        total += np.where(known, np.clip(found, 0, 1), 0)
        count += known
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


# Calibration and agreement ------------------------------------------------------------


def _bin_of(sure: Array) -> Array:
    """Bins of equal width, open below and closed above."""
    return np.asarray(np.clip(np.digitize(sure, _BINS, right=True) - 1, 0, 14))


def _gap_columns(said: Said) -> Array:
    sure = said.values.max(axis=1)
    columns = np.zeros((len(sure), 16))
    columns[np.arange(len(sure)), _bin_of(sure)] = (_answered(said.values) == _labels(said)) - sure
    columns[:, 15] = 1
    return columns


def _gap_of_sums(sums: Array) -> Array:
    return np.asarray(np.abs(sums[:, :15]).sum(axis=1) / np.maximum(sums[:, 15], 1e-12))


def _ece(said: Said) -> float:
    sure, right = said.values.max(axis=1), _answered(said.values) == _labels(said)
    bins = _bin_of(sure)
    parts = [abs(right[bins == b].mean() - sure[bins == b].mean()) * np.mean(bins == b) for b in np.unique(bins)]
    return float(np.sum(parts))


def _bin_slack(said: Said) -> float:
    sure = said.values.max(axis=1)
    at_border = np.abs(sure[:, None] - _BINS[None, 1:-1]).min(axis=1) < _DIGITS
    return float(2 * at_border.mean()) + _answer_slack(said)


def _teacher(said: Said) -> Array:
    if said.teacher is None:
        raise UnknownError("predictions/test.csv does not hold the teacher")
    return said.teacher


def _agreement(said: Said) -> float:
    return float(np.mean(_answered(said.values) == _answered(_teacher(said))))


def _agreement_columns(said: Said) -> Array:
    same = _answered(said.values) == _answered(_teacher(said))
    return np.column_stack([same, np.ones(len(same))]).astype(float)


def _agreement_slack(said: Said) -> float:
    return float((_unsure(said.values) | _unsure(_teacher(said))).mean())


def _divergences(said: Said) -> Array:
    teacher, student = _teacher(said), np.maximum(said.values, _TINY)
    terms = np.where(teacher > 0, teacher * np.log(np.maximum(teacher, _TINY) / student), 0)
    return np.asarray(terms.sum(axis=1))


def _kl_columns(said: Said) -> Array:
    return np.column_stack([_divergences(said), np.ones(len(said.ids))])


def _precision(hits: Array, labelled: Array, predicted: Array) -> Array:
    return np.asarray(hits / np.maximum(predicted, 1))


def _recall(hits: Array, labelled: Array, predicted: Array) -> Array:
    return np.asarray(hits / np.maximum(labelled, 1))


def _f1(hits: Array, labelled: Array, predicted: Array) -> Array:
    return np.asarray(2 * hits / np.maximum(labelled + predicted, 1))


CLASSES = {
    "accuracy": Score(_accuracy, _answer_slack, _right_columns, first_by_second),
    "precision": _macro_score(_precision),
    "recall": _macro_score(_recall),
    "f1": _macro_score(_f1),
    "auroc": Score(_auroc, _tied, _area_columns, _area_of_sums),
    "ece": Score(_ece, _bin_slack, _gap_columns, _gap_of_sums, is_mirrored=True),
    "fidelity.agreement": Score(_agreement, _agreement_slack, _agreement_columns, first_by_second),
    "fidelity.kl": Score(
        lambda said: float(np.mean(_divergences(said))), lambda said: 1e-6, _kl_columns, first_by_second, is_share=False
    ),
}
