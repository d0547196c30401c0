"""What a measure is: how a score comes from samples, what it is called, and what may be done with it.

A score is ``finish`` of the sum of ``addends``, and so is each of its bootstrap resamples.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from preceptor.errors import UserError
from preceptor.measures.arrays import Flags, Float64, Floats, Int64, Integers, check_counts, check_probabilities
from preceptor.specs import Scored

AGAINST_TEACHER = "fidelity."
"""How the keys of measures begin that compare with the teacher."""

_NAME = re.compile(r"[a-z][a-z0-9_]*(\..+)?")


@dataclass(frozen=True, slots=True, eq=False)
class ClassAnswers:
    """What a network says of the classes of N samples.

    Args:
        probabilities: (N, C) of each class; rows sum to 1.
        labels: (N,) the right classes.
        teacher: (N, C) what the teacher says of them; None where it was not asked.
    """

    probabilities: Floats
    labels: Integers
    teacher: Floats | None = None

    @property
    def predictions(self) -> Int64:
        """(N,) class of largest probability."""
        predictions: Int64 = self.probabilities.argmax(axis=1)
        return predictions

    def check(self) -> None:
        """Refuse what are no probabilities, or no labels for them.

        Raises:
            ValueError: which.
        """
        check_probabilities(self.probabilities, self.labels)
        if self.teacher is not None and self.teacher.shape != self.probabilities.shape:
            raise ValueError(
                f"student and teacher differ: {self.probabilities.shape} and {self.teacher.shape} probabilities"
            )


@dataclass(frozen=True, slots=True, eq=False)
class MaskAnswers:
    """What a network's masks of N images have in common with the right ones.

    Args:
        counts: (N, K, 4) pixels of each foreground class: true and false positives and negatives.
        teacher: (N, K, 4) the same against the teacher's masks; None where it was not asked.
        surfaces: (N, K, 2) of outlines, as :data:`preceptor.measures.surface.SURFACES`; None where not measured.
    """

    counts: Int64
    teacher: Int64 | None = None
    surfaces: Float64 | None = None

    def check(self) -> None:
        """Refuse what are no counts.

        Raises:
            ValueError: a wrong shape.
        """
        check_counts(self.counts)


Answers = ClassAnswers | MaskAnswers
A = TypeVar("A", ClassAnswers, MaskAnswers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired(Generic[A]):
    """How two networks are compared on the same samples.

    Args:
        test: ``mcnemar`` for right and wrong answers (a permutation test where samples are grouped, or seeds
            averaged), ``permutation`` for other scores of samples, ``wilcoxon`` by their ranks, ``pooled`` for a score
            of all samples' sums (the permutation test of what each adds to it), ``delong`` for the ranking of two
            classes.
        label: what is compared, as printed.
        values: (N,) score of each sample, of which the measure is the mean; for ``delong`` what ranks them; none for
            ``pooled``.
    """

    test: Literal["mcnemar", "permutation", "wilcoxon", "pooled", "delong"]
    label: str
    values: Callable[[A], Floats] | None = None

    def __post_init__(self) -> None:
        if (self.values is None) != (self.test == "pooled"):
            needs = "takes no" if self.test == "pooled" else "wants"
            raise UserError(f"paired test {self.test} {needs} `values`; `pooled` compares the measure itself")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure(Generic[A]):
    """A score of a network on some samples.

    Args:
        name: in ``metrics.csv`` and ``result.json``: small letters, digits and underscores; of a single class, then a
            dot and its name.
        label: as printed.
        task: what it is of; ``features`` where no label is read.
        addends: answers -> (N, M), what each sample or image adds; None where the file that says it may not be run.
            Measures with the same function share the work.
        finish: (B, M) sums -> (B,) scores; NaN where a resample leaves it undefined.
        occurs: (B, M) sums -> (B,) whether there is anything to score; resamples without say nothing.
        score: the score of all samples, where it must not be ``finish`` of the sums.
        higher_is_better: which way is good.
        grows_with_noise: few samples make it too large, as sums of absolute values are.
        is_share: from 0 to 1 and shown in percent.
        unit: of what is no share; the data say that of distances.
        against_teacher: compares with the teacher, not with the labels: its key begins with ``fidelity.``.
        wants_surfaces: is made of what is known of the outlines of masks.
        wants_two_classes: is undefined, and then left out, where all labels are equal.
        may_monitor: may choose weights.
        is_printed: stands in the table at the end of a training.
        is_tabled: stands in a study's table unless its layout says otherwise.
        is_compared: methods are compared in it even where the study's table does not show it.
        is_audited: stands beside the main measure where a teacher is compared with a student alone.
        published_as: what papers print it as, where that is another name.
        paired: how networks are compared in it; None where they are not.
    """

    name: str
    label: str
    task: Scored
    addends: Callable[[A], Float64] | None
    finish: Callable[[Float64], Float64]
    occurs: Callable[[Float64], Flags] | None = None
    score: Callable[[A], float | None] | None = None
    higher_is_better: bool = True
    grows_with_noise: bool = False
    is_share: bool = True
    unit: str = ""
    against_teacher: bool = False
    wants_surfaces: bool = False
    wants_two_classes: bool = False
    may_monitor: bool = False
    is_printed: bool = False
    is_tabled: bool = False
    is_compared: bool = False
    is_audited: bool = False
    published_as: str = ""
    paired: Paired[A] | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(f"measure {self.name!r}: write its name in small letters, digits and underscores")
        if self.may_monitor and (not self.higher_is_better or self.against_teacher):
            raise UserError(
                f"measure {self.name}: weights are chosen by what is better when larger and needs no teacher; "
                "leave may_monitor out, or measure 1 minus it"
            )
        if self.paired and not self.is_share:
            raise UserError(f"measure {self.name}: networks are compared in shares from 0 to 1; leave `paired` out")

    @property
    def key(self) -> str:
        """Its name among all scores of a network."""
        return f"{AGAINST_TEACHER}{self.name}" if self.against_teacher else self.name

    @property
    def counts_right_answers(self) -> bool:
        """Whether it is the share of samples that are right."""
        return self.paired is not None and self.paired.test == "mcnemar"

    def is_known_of(self, answers: A) -> bool:
        """Whether ``answers`` hold what it is made of."""
        if self.wants_surfaces and isinstance(answers, MaskAnswers) and answers.surfaces is None:
            return False
        return self.addends is not None and not (self.against_teacher and answers.teacher is None)

    def rows(self, answers: A) -> Float64:
        """(N, M) what each sample adds.

        Raises:
            UserError: the function gives something else.
        """
        assert self.addends is not None
        found = np.asarray(self.addends(answers), dtype=np.float64)
        size = len(answers.probabilities if isinstance(answers, ClassAnswers) else answers.counts)
        if found.ndim != 2 or len(found) != size or not found.shape[1]:
            raise UserError(
                f"measure {self.name}: addends gives the shape {found.shape}; a row for each of the {size} samples was "
                f"wanted, ({size}, columns)"
            )
        if not np.isfinite(found).all():
            raise UserError(f"measure {self.name}: addends gives NaN or infinity for {_first_bad(found)}")
        return found

    def finished(self, sums: Float64) -> Float64:
        """(B,) scores of (B, M) sums.

        Raises:
            UserError: the function gives something else.
        """
        found = np.asarray(self.finish(sums), dtype=np.float64)
        if found.shape != sums.shape[:1]:
            raise UserError(
                f"measure {self.name}: finish gives the shape {found.shape} for sums of shape {sums.shape}; a score "
                f"for each row was wanted, {sums.shape[:1]}: index columns as sums[:, 0]"
            )
        return found

    def resampled(self, sums: Float64) -> Float64:
        """(B,) scores of resampled (B, M) sums; NaN where nothing was drawn of what is scored, if ever anything was."""
        found, known = self.finished(sums), None if self.occurs is None else self.occurs(sums)
        return found if known is None or not known.any() else np.where(known, found, np.nan)

    def of(self, answers: A, totals: Float64 | None = None) -> float | None:
        """The score; None where it is undefined since all labels are equal.

        Args:
            totals: (1, M) sums of the addends, where they are known.

        Raises:
            UserError: it is no number.
        """
        if self.score:
            found = self.score(answers)
        else:
            found = float(self.finished(totals_of(self.rows(answers)) if totals is None else totals)[0])
        if found is not None and math.isfinite(found):
            return found
        if self.wants_two_classes:
            return None
        raise UserError(
            f"measure {self.name} gives {found} for these samples; give a number wherever there is any sample, for "
            "example with np.maximum(sums[:, 1], 1) as the divisor"
        )


AnyMeasure = Measure[Any]
Measures = Mapping[str, AnyMeasure]
"""Key -> measure, the task's main one first."""


def scores_of(measures: Measures, answers: Answers) -> dict[str, float]:
    """Name -> score of all ``measures`` against the labels that are defined."""
    return _scores([one for one in measures.values() if not one.against_teacher], answers)


def fidelity_of(measures: Measures, answers: Answers) -> dict[str, float]:
    """Name -> score of all ``measures`` that compare with the teacher."""
    return _scores([one for one in measures.values() if one.against_teacher], answers)


def _scores(measures: Iterable[AnyMeasure], answers: Answers) -> dict[str, float]:
    """Name -> score of those that can be computed and are defined."""
    answers.check()
    found: dict[str, float] = {}
    totals: dict[Callable[[Any], Float64], Float64] = {}
    for one in measures:
        if one.addends is None or not one.is_known_of(answers):
            continue
        if one.score is None and one.addends not in totals:
            totals[one.addends] = totals_of(one.rows(answers))
        score = one.of(answers, totals.get(one.addends))
        if score is not None:
            found[one.name] = score
    return found


def ratio(sums: Float64) -> Float64:
    """(B,) the first column over the second: the mean where the second counts samples."""
    share: Float64 = sums[:, 0] / np.maximum(sums[:, 1], 1e-12)
    return share


def counted(values: NDArray[Any]) -> Float64:
    """(N, 2) addends of a mean: values (N,), and 1 for each."""
    return np.stack([values.astype(np.float64), np.ones(len(values))], axis=1)


def mean_where(values: Float64, known: Flags) -> Float64:
    """(B,) mean of each row (B, C) over what is ``known`` in it, bit for bit that of the row alone; 0 without any."""
    means = np.zeros(len(values))
    patterns, which = np.unique(known, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows = which.ravel() == number
        if pattern.any():
            means[rows] = np.ascontiguousarray(values[rows][:, pattern]).mean(axis=1)
    return means


def totals_of(rows: Float64) -> Float64:
    """(1, M) sums of the columns, each added up as a row of its own would be."""
    sums: Float64 = np.ascontiguousarray(rows.T).sum(axis=1)[None]
    return sums


def _first_bad(found: Float64) -> str:
    row = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
    return f"sample {row + 1} of {len(found)}"
