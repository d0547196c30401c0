"""Operating points by hand, and on samples whose best point is known."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from preceptor.measures.points import (
    called_rates,
    certainty,
    chosen_threshold,
    decided_classes,
    fitted_points,
    rates_at,
)
from preceptor.measures.temperature import fitted_temperature, softmax

SCORES = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.8])
POSITIVE = np.array([False, False, True, False, True, True])


@pytest.mark.parametrize(
    ("sensitivity", "wanted"),
    [
        (None, 0.25),  # 3 of 3 found, 2 of 3 spared; at 0.5: 2 of 3 and 3 of 3, equal, the first is taken
        (0.6, 0.5),
        (0.95, 0.25),
        (0.1, 0.7),
    ],
)
def test_thresholds_by_hand(sensitivity, wanted):
    assert chosen_threshold(SCORES, POSITIVE, sensitivity) == pytest.approx(wanted)
    assert np.isnan(chosen_threshold(SCORES, np.ones(6, dtype=bool), sensitivity))


def test_equal_scores_are_called_alike():
    scores = np.array([0.5, 0.5, 0.5, 0.9])
    assert chosen_threshold(scores, np.array([True, False, False, True])) == pytest.approx(0.7)


def test_rates_with_their_counts_and_groups():
    groups = ["a", "a", "b", "b", "c", "c"]
    found, spared = rates_at(SCORES, POSITIVE, 0.25, groups)
    assert (found.value, spared.value) == (1.0, pytest.approx(2 / 3))
    assert spared.units == 2  # of the three groups that have any negative
    assert spared.low < 2 / 3 <= spared.high


def test_resamples_without_the_class_say_nothing_of_its_sensitivity():
    positive = np.array([True, True, False, False, False, False])
    found, _ = rates_at(np.where(positive, 0.9, 0.1), positive, 0.5, ["a", "a", "b", "b", "c", "c"])
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def drawn(count, classes, sharpness, seed=0):
    """Logits ``sharpness`` times as far apart as labels that are drawn from their softmax warrant."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, classes))
    chances = softmax(logits, axis=1)
    labels = (rng.random(count)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
    return sharpness * logits, labels


def chosen_by_plain_sums(logits, labels):
    def loss(logarithm):
        chances = softmax(logits / np.exp(logarithm), axis=1)[np.arange(len(labels)), labels]
        return -np.log(np.maximum(chances, 1e-300)).mean()

    return np.exp(minimize_scalar(loss, bounds=np.log([0.05, 20]), method="bounded").x)


def test_the_temperature_that_was_put_in_is_found():
    logits, labels = drawn(3000, 3, 2.5)
    found = fitted_points(logits, labels)
    assert found.temperature.low < 2.5 < found.temperature.high
    assert found.temperature.value == pytest.approx(fitted_temperature(logits, labels))
    wanted = chosen_by_plain_sums(logits, labels)
    assert fitted_temperature(logits, labels) == wanted
    assert fitted_temperature(logits.astype(np.float32), labels) == pytest.approx(wanted, rel=1e-5)
    assert found.threshold is None
    assert [point.positives + point.negatives for point in found.classes] == [3000] * 3


def test_a_sensitivity_is_reached_and_abstaining_keeps_the_risk():
    logits, labels = drawn(2000, 2, 1.0)
    found = fitted_points(logits, labels, sensitivity=0.95, risk=0.05)
    chances = softmax(logits / found.temperature.value, axis=1)
    said = decided_classes(chances, found.threshold)
    assert (said[labels == 1] == 1).mean() >= 0.95
    sure = certainty(chances, found.threshold) >= found.abstention.least
    assert (said[sure] != labels[sure]).mean() <= 0.05
    assert sure.mean() == pytest.approx(found.abstention.coverage.value)
    assert 0.1 < sure.mean() < 0.9
    assert found.abstention.curve[-1][0] == 1.0


def test_certainty_is_one_half_at_the_threshold_and_the_probability_at_one_half():
    chances = np.array([[0.8, 0.2], [1.0, 0.0], [0.0, 1.0]])
    np.testing.assert_allclose(certainty(chances, 0.2), [0.5, 1, 1])
    np.testing.assert_allclose(certainty(chances, 0.5), certainty(chances, None))


def test_a_risk_that_cannot_be_had_is_said():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="however certain"):
        fitted_points(rng.normal(0, 1, (400, 2)), rng.integers(0, 2, 400), risk=0.001)


def test_a_rate_over_one_patient_has_a_single_unit():
    """All positives are of one of three patients: every resample that has any says the same, which is no interval."""
    positive = np.array([True, True, False, False, False, False])
    called = np.array([True, False, False, True, False, False])
    sensitivity, specificity = called_rates(called, positive, ["a", "a", "b", "b", "c", "c"])
    assert (sensitivity.value, sensitivity.low, sensitivity.high, sensitivity.units) == (0.5, 0.5, 0.5, 1)
    assert (specificity.units, specificity.low < specificity.high) == (2, True)
