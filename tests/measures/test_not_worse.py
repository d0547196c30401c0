"""Not worse by more than a margin: by the lower end of the paired interval, over groups."""

import numpy as np
import pytest

from preceptor.measures import ClassAnswers, Interval, main_measure
from preceptor.measures.not_worse import paired_gap, words_on

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 400)


def answers(right):
    chosen = np.where(right, LABELS, 1 - LABELS)
    return ClassAnswers(np.eye(2)[chosen], LABELS)


def test_the_gap_is_paired_and_by_group():
    right = RNG.random(400) < 0.8
    other = right.copy()
    other[:20] = ~other[:20]
    accuracy = main_measure("classification")
    gap = paired_gap(accuracy, answers(right), answers(other))
    assert gap.value == pytest.approx(right.mean() - other.mean())
    assert gap.high - gap.low < 0.06, "samples on which both agree add nothing"
    grouped = paired_gap(accuracy, answers(right), answers(other), [f"patient {n // 20}" for n in range(400)])
    assert grouped.units == 20
    assert grouped.high - grouped.low > gap.high - gap.low


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.01, 0.01, "new is not worse than old by more than 2 points: accuracy +0.00"),
        (0.001, 0.01, "by more than 2 points, and it is better"),
        (-0.03, 0.01, "Whether new is worse than old by more than 2 points is not known"),
        (-0.09, -0.03, "new is worse than old by more than 2 points"),
    ],
)
def test_words(low, high, words):
    said = words_on("new", "old", "accuracy", Interval(0.0, low, high, 40), 0.02, "patient groups")
    assert words in said
    assert "over 40 patient groups" in said
