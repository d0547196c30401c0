"""Operating points of classifiers: temperature and thresholds of validation, sensitivity and specificity of test."""

import re
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.optimize import brent

from preceptor.verify.answers import Array, RunRead, Said, UnknownError, Whole, groups_of
from preceptor.verify.cell import Cell, Place, known
from preceptor.verify.intervals import added, resampled, units_of
from preceptor.verify.numbers import Numbers

_THRESHOLD = re.compile(r"^([\d.]+) \(([\d.]+)–([\d.]+)\)$")
_RATE = re.compile(r"^([\d.]+) \((\d+) of (\d+), (?:([\d.]+)–([\d.]+)|all of one group: no interval)\)$")
_RESAMPLES = 200


def operating(numbers: Numbers, rows: list[list[str]]) -> Iterator[Cell]:
    """Of the first seed of each method."""
    fitted: dict[str, _Fitted] = {}
    for row in rows[1:]:
        at = Place("operating", f"{row[0]}, {row[1]}", "threshold, sensitivity, specificity")
        if not _THRESHOLD.match(row[2]):
            continue
        yield from known(at, " ".join(row[2:]), _cells, numbers, fitted, row, at)


def _cells(numbers: Numbers, fitted: "dict[str, _Fitted]", row: Sequence[str], at: Place) -> Iterator[Cell]:
    if row[0] not in fitted:
        fitted[row[0]] = _fit(numbers, row[0])
    yield from fitted[row[0]].cells(at, row)


def _fit(numbers: Numbers, title: str) -> "_Fitted":
    method = numbers.written.method(title)
    run = next(iter(method.seeds.values())).folds[0]
    network = "T" if method.kind == "teacher" else numbers.written.network
    return _Fitted(run, run.said(network, "validation"), run.said(network))


class _Fitted:
    """A network of a run at the temperature of its validation part."""

    def __init__(self, run: RunRead, validation: Said, test: Said) -> None:
        self._classes = list(run.classes) or [str(c) for c in range(test.values.shape[1])]
        temperature = _temperature(validation)
        self._fitting, self._test = validation, test
        self._before, self._after = _tempered(validation.values, temperature), _tempered(test.values, temperature)
        whole = Whole([run])
        self._units = [units_of(said.ids, groups_of([whole], said.ids)) for said in (validation, test)]

    def cells(self, at: Place, row: Sequence[str]) -> Iterator[Cell]:
        """Of one class."""
        if row[1] not in self._classes:
            raise UnknownError("a class that the exported networks do not name")
        c = self._classes.index(row[1])
        scores, positive = self._before[:, c], _is_of(self._fitting, c)
        threshold = youden(scores, positive)
        said = _THRESHOLD.match(row[2])
        assert said is not None, "asked before"
        values = (threshold, *_threshold_ends(scores, positive, self._units[0]))
        for text, value in zip(said.groups(), values, strict=True):
            yield at.rounded(text, value, 1e-4)
        called, real = self._after[:, c] >= threshold, _is_of(self._test, c)
        yield from _rate(at, row[3], called & real, real, self._units[1])
        yield from _rate(at, row[4], ~called & ~real, ~real, self._units[1])


def _is_of(said: Said, c: int) -> Array:
    assert said.labels is not None, "masks have no operating points"
    return np.asarray(said.labels == c)


def _temperature(said: Said) -> float:
    """The one of least cross-entropy, from 0.05 to 20."""

    def loss(logarithm: float) -> float:
        chances = _tempered(said.values, float(np.exp(logarithm)))
        return float(-np.log(np.maximum(chances[np.arange(len(chances)), said.labels], 1e-300)).mean())

    grid = np.linspace(np.log(0.05), np.log(20), 60)
    best = int(np.argmin([loss(one) for one in grid]))
    if best in (0, len(grid) - 1):
        return float(np.exp(grid[best]))
    return float(np.exp(brent(loss, brack=tuple(grid[best - 1 : best + 2]), tol=1e-10)))


def _tempered(chances: Array, temperature: float) -> Array:
    logits = np.log(np.maximum(chances, 1e-12)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def youden(scores: Array, positive: Array) -> float:
    """The threshold of largest sensitivity + specificity, halfway to the score below; the lowest of several."""
    if positive.all() or not positive.any():
        return float("nan")
    values = np.unique(scores)
    missed = np.searchsorted(np.sort(scores[positive]), values)  # below each value
    spared = np.searchsorted(np.sort(scores[~positive]), values)
    index = spared / (~positive).sum() - missed / positive.sum()
    best = int(np.argmax(np.round(1 + index, 12)))
    return float(values[best] if best == 0 else (values[best - 1] + values[best]) / 2)


def _threshold_ends(scores: Array, positive: Array, units: Array) -> tuple[float, float]:
    generator, count = np.random.default_rng(0), int(units.max()) + 1
    members = [np.flatnonzero(units == unit) for unit in range(count)]
    drawn = (generator.integers(count, size=count) for _ in range(_RESAMPLES))
    rows = [np.concatenate([members[unit] for unit in one]) for one in drawn]
    found = np.array([youden(scores[one], positive[one]) for one in rows])
    low, high = np.quantile(found[~np.isnan(found)], [0.025, 0.975])
    return float(low), float(high)


def _rate(at: Place, text: str, hits: Array, of: Array, units: Array) -> Iterator[Cell]:
    said = _RATE.match(text)
    if said is None:
        yield at.unknown(text, "no rate stands there")
        return
    yield at.rounded(said[1], 100 * float(hits.sum() / of.sum()))
    yield at.exact(said[2], str(int(hits.sum())))
    yield at.exact(said[3], str(int(of.sum())))
    if said[4]:
        again = resampled(added(np.column_stack([hits, of]).astype(float), units))
        known = again[:, 1] > 0
        ends = np.quantile(again[known, 0] / again[known, 1], [0.025, 0.975])
        for end, value in zip((said[4], said[5]), ends, strict=True):
            yield at.rounded(end, 100 * float(value))
