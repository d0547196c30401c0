"""What somebody scores who knows nothing and always gives the same answer: the least that a teacher must beat."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log

import numpy as np
import pandas as pd

from preceptor.measures.arrays import Int64
from preceptor.measures.measure import AnyMeasure, ClassAnswers, MaskAnswers
from preceptor.measures.segmentation import COUNTS

LUCK = 0.05
"""A lead over the constant answer that chance gives more often than this is no lead."""


@dataclass(frozen=True, slots=True)
class Trivial:
    """The best constant answer on a part of the data.

    Args:
        answer: the class that it gives for every image, or for every pixel.
        score: by the measure asked for.
        luck: how often somebody who guesses at this rate has as many right as the network has; None where the
            metric does not count right answers.
    """

    answer: str
    score: float
    luck: float | None

    def verdict(self, score: float, metric: str, who: str = "the teacher") -> str | None:
        """What is to be said against ``who`` with ``score``; None where it is clearly better."""
        against = f"({metric} {score:.4f} against {self.score:.4f})"
        if score <= self.score:
            return (
                f"{who} is no better than always answering {self.answer!r} on validation {against}: "
                "what it teaches is noise"
            )
        if self.luck is not None and self.luck > LUCK:
            return (
                f"{who} is hardly better than always answering {self.answer!r} on validation {against}: "
                f"so few images give such a lead by chance in {100 * self.luck:.0f} of 100 cases"
            )
        return None


def trivial_answer(table: pd.DataFrame, network: str, *, classes: Sequence[str], measure: AnyMeasure) -> Trivial:
    """The constant answer beside ``network`` in the table of an evaluation: the majority class, or one class all over.

    Args:
        table: as in :class:`~preceptor.training.evaluate.Evaluation`.
    """
    rows = table[table["network"] == network]
    return (_class if measure.task == "classification" else _mask)(rows, classes, measure)


def _class(rows: pd.DataFrame, classes: Sequence[str], measure: AnyMeasure) -> Trivial:
    labels = rows["label"].to_numpy(dtype=np.int64)
    majority = int(np.bincount(labels, minlength=len(classes)).argmax())
    always = np.tile(np.eye(len(classes))[majority], (len(labels), 1))
    score = _score(measure, ClassAnswers(always, labels))
    luck = None
    if measure.counts_right_answers:
        answers = rows[[f"p_{c}" for c in range(len(classes))]].to_numpy().argmax(axis=1)
        luck = _at_least(int((answers == labels).sum()), len(labels), score)
    return Trivial(classes[majority], score, luck)


def _mask(rows: pd.DataFrame, classes: Sequence[str], measure: AnyMeasure) -> Trivial:
    counts = np.stack(
        [rows.loc[rows["class"] == c, list(COUNTS)].to_numpy(np.int64) for c in range(1, len(classes))], 1
    )
    scores = {name: _score(measure, MaskAnswers(_counts_of(counts, c))) for c, name in enumerate(classes)}
    best = max(scores, key=lambda name: scores[name])
    return Trivial(best, scores[best], None)


def _score(measure: AnyMeasure, answers: ClassAnswers | MaskAnswers) -> float:
    found = measure.of(answers)
    assert found is not None, f"{measure.name} is undefined: a monitor wants two classes in the validation part"
    return found


def _counts_of(counts: Int64, answer: int) -> Int64:
    """The counts of a network that gives every pixel the class ``answer``, from those of any other: (N, K, 4)."""
    tp, fp, fn, tn = np.moveaxis(counts, -1, 0)
    positive, negative, nothing = tp + fn, fp + tn, np.zeros_like(tp)
    found = np.stack([nothing, nothing, positive, negative], axis=-1)
    if answer:
        found[:, answer - 1] = np.stack([positive, negative, nothing, nothing], axis=-1)[:, answer - 1]
    return found


def _at_least(right: int, of: int, share: float) -> float:
    """P(at least ``right`` of ``of``) for somebody who is right with probability ``share`` each time (binomial)."""
    if share >= 1 or right <= 0:
        return 1.0
    ways = (lgamma(of + 1) - lgamma(k + 1) - lgamma(of - k + 1) for k in range(right, of + 1))
    logs = (way + k * log(share) + (of - k) * log(1 - share) for k, way in enumerate(ways, start=right))
    return min(1.0, sum(map(exp, logs)))
