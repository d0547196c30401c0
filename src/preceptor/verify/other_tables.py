"""The tables of runs, of teachers, and of students in their teachers' place."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from preceptor.verify.answers import RunRead, Said, Whole, groups_of
from preceptor.verify.cell import Cell, Place, known
from preceptor.verify.intervals import ends, seeds_resampled
from preceptor.verify.numbers import Number, Numbers, on_validation, singles
from preceptor.verify.written import Method

_MAIN = {"classification": "accuracy", "segmentation": "iou"}
_HELD = re.compile(
    r"^(better in every seed \((\d+)\)|NOT better in (\d+) of (\d+) seeds|better \(one seed\)|NOT better \(one seed\))"
)
_GAP = re.compile(r"^([+-][\d.]+) \(([+-][\d.]+) to ([+-][\d.]+)\)$")


def runs(numbers: Numbers, rows: list[list[str]]) -> Iterator[Cell]:
    """Every run: of its numbers one is a score."""
    written, heads = numbers.written, rows[0]
    named = {run.name: run for method in written.methods for whole in method.seeds.values() for run in whole.folds}
    for row in rows[1:]:
        said = dict(zip(heads, row, strict=True))
        name = said["run"].partition(" (")[0]
        for head in ("seconds", "images/s"):
            if said[head]:
                yield Place("runs", name, head).unknown(said[head], "timed while the run was trained")
        head = next(head for head in heads if head.startswith("its test "))
        at, cell = Place("runs", name, head), said[head]
        if not cell:
            continue
        if name not in named:
            yield at.unknown(cell, "other folds of its seed are not finished")
            continue
        yield from known(at, cell, _test_score, numbers, named[name], said["chosen on validation"], at, cell)


def _test_score(numbers: Numbers, run: RunRead, network: str, at: Place, cell: str) -> Iterator[Cell]:
    score = numbers.score(numbers.written.metric)
    yield at.rounded(cell, (100.0 if score.is_share else 1.0) * (score.whole(run.said(network)) or 0.0))


def teachers(numbers: Numbers, rows: list[list[str]]) -> Iterator[Cell]:
    """The audit of teachers on validation."""
    heads = rows[0]
    for row in rows[1:]:
        audit = _Audit(numbers, row[0])
        for head, cell in zip(heads[1:], row[1:], strict=True):
            at = Place("teachers", row[0], head)
            if head == "audit":
                yield from known(at, cell, audit.verdict, at, cell)
            elif cell:
                yield from known(at, cell, audit.cells, at, cell, head)


class _Audit:
    """Of one method's teacher."""

    def __init__(self, numbers: Numbers, title: str) -> None:
        self._numbers = numbers
        self._title = title
        self._main = _MAIN[numbers.written.task]

    @property
    def _method(self) -> Method:
        return self._numbers.written.method(self._title)

    @property
    def _alone(self) -> Method | None:
        """The method's students alone, or the only ones that there are."""
        methods = self._numbers.written.methods
        if self._method.alone is not None:
            return methods[self._method.alone]
        found = [method for method in methods if method.kind == "baseline" and method.seeds]
        return found[0] if len(found) == 1 else None

    def cells(self, at: Place, cell: str, head: str) -> Iterator[Cell]:
        """What stands under a heading."""
        yield at.number(cell, self._number(head))

    def _number(self, head: str) -> Number:
        name, _, ending = head.rpartition(" ")
        name, ending = (name, ending) if ending in ("±", "seeds") else (head, "")
        prefix = next(
            one for one in ("teacher ", "best student alone ", "its ", "constant answer ") if name.startswith(one)
        )
        key = self._numbers.written.key(name.removeprefix(prefix))
        score = self._numbers.score(key)
        values = self._values(prefix, key)
        if ending == "seeds":
            return Number(float(len(values)))
        factor = 100.0 if score.is_share else 1.0
        if ending == "±":
            return Number(factor * float(np.std(values, ddof=1)) if len(values) > 1 else None)
        return Number(factor * float(np.mean(values)))

    def _values(self, prefix: str, key: str) -> list[float]:
        score = self._numbers.score(key)
        with_teacher = [one for one in self._method.seeds.values() if "T" in singles(one.folds[0])]
        if prefix == "teacher ":
            return [on_validation(whole, "T", score) for whole in with_teacher]
        if prefix == "constant answer ":
            known = [one for one in self._method.seeds.values() if _has_constant(one)]
            return [_constant(one.folds[0].said("T", "validation")) for one in known]
        alone = list(self._alone.seeds.values()) if self._alone else []
        return [on_validation(whole, self._best(whole), score) for whole in alone]

    def _best(self, whole: Whole) -> str:
        main = self._numbers.score(self._main)
        return max(singles(whole.folds[0]), key=lambda name: on_validation(whole, name, main))

    def verdict(self, at: Place, cell: str) -> Iterator[Cell]:
        """In how many seeds the teacher is better."""
        said = _HELD.match(cell)
        if said is None or self._alone is None:
            yield at.unknown(cell, "a sentence without a count of seeds")
            return
        main, leads = self._numbers.score(self._main), []
        for seed, whole in self._method.seeds.items():
            if seed in self._alone.seeds and "T" in singles(whole.folds[0]):
                alone = self._alone.seeds[seed]
                leads.append(on_validation(whole, "T", main) - on_validation(alone, self._best(alone), main))
        yield at.exact(said[0], _in_words(sum(lead > 1e-12 for lead in leads), len(leads)))


def _in_words(better: int, of: int) -> str:
    if better == of:
        return f"better in every seed ({of})" if of > 1 else "better (one seed)"
    return f"NOT better in {of - better} of {of} seeds" if of > 1 else "NOT better (one seed)"


def _has_constant(whole: Whole) -> bool:
    return bool((whole.folds[0].result.get("teacher_audit") or {}).get("constant_answer"))


def _constant(said: Said) -> float:
    """Of the majority class; of masks the best of one class all over."""
    if said.labels is not None:
        return float(np.bincount(said.labels).max() / len(said.labels))
    pixels = said.values.sum(axis=0)  # (K, 4)
    truth, every = pixels[:, 0] + pixels[:, 2], pixels.sum(axis=1)
    shares = [0.0 if truth.any() else 1.0]
    for place in range(len(pixels)):
        occurs = (truth > 0) | (np.arange(len(pixels)) == place)
        shares.append(float(truth[place] / every[place] / occurs.sum()))
    return max(shares)


def good_enough(numbers: Numbers, rows: list[list[str]]) -> Iterator[Cell]:
    """Student minus teacher."""
    for row in rows[1:]:
        at, said = Place("good-enough", row[0], "gap"), _GAP.match(row[1])
        if said is None:
            yield at.unknown(row[1], "no gap with an interval stands there")
            continue
        yield from known(at, row[1], _gap, numbers, row[0], said.groups(), at)


def _gap(numbers: Numbers, title: str, said: Sequence[str], at: Place) -> Iterator[Cell]:
    written = numbers.written
    score, wholes = numbers.score(written.metric), list(written.method(title).seeds.values())
    sides = [
        seeds_resampled([one.said(name) for one in wholes], score, lambda ids: groups_of(wholes, ids))
        for name in (written.network, "T")
    ]
    gap = sides[0][0] - sides[1][0]
    ends_of_gap = ends(gap, sides[0][1] - sides[1][1])
    for text, value in zip(said, (gap, *ends_of_gap), strict=True):
        yield at.rounded(text, 100 * value)
