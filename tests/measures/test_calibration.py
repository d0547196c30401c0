import numpy as np
import pytest

from preceptor.measures import expected_calibration_error, reliability


def binary(confidence):
    """Two-class probabilities whose largest is ``confidence``, for class 0."""
    confidence = np.asarray(confidence)
    return np.stack([confidence, 1 - confidence], axis=1)


def test_two_bins_by_hand():
    """Of four at 0.9 three are right, of two at 0.6 one: gaps 0.15 and 0.1, weights 4/6 and 2/6."""
    probabilities = binary([0.9] * 4 + [0.6] * 2)
    labels = np.array([0, 0, 0, 1, 0, 1])
    assert expected_calibration_error(probabilities, labels) == pytest.approx(4 / 6 * 0.15 + 2 / 6 * 0.1)


def test_the_bins_are_the_slow_obvious_ones():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.full(4, 0.5), size=300)
    labels = generator.integers(4, size=300)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    found = reliability(probabilities, labels, bins=10)
    for b in range(10):
        inside = (confidence > b / 10) & (confidence <= (b + 1) / 10)
        assert found.count[b] == inside.sum()
        if inside.any():
            assert found.confidence[b] == pytest.approx(confidence[inside].mean())
            assert found.accuracy[b] == pytest.approx(correct[inside].mean())
    assert found.count.sum() == 300


def test_full_confidence_falls_into_the_last_bin():
    assert reliability(binary([1.0]), np.array([0])).count[-1] == 1


def test_a_sure_and_right_network_is_calibrated():
    assert expected_calibration_error(binary([1.0, 1.0]), np.array([0, 0])) == 0.0
    assert expected_calibration_error(binary([1.0, 1.0]), np.array([1, 1])) == 1.0
