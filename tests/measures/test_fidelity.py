import math

import numpy as np
import pytest
from scipy.stats import entropy

from preceptor.measures import fidelity_scores, mask_fidelity


def test_by_hand():
    """The teacher at (3/4, 1/4), the student undecided: KL = 3/4 ln 3/2 + 1/4 ln 1/2."""
    scores = fidelity_scores(np.array([[0.5, 0.5]]), np.array([[0.75, 0.25]]))
    assert scores["kl"] == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert scores["agreement"] == 1.0


def test_a_copy_is_faithful():
    teacher = np.random.default_rng(0).dirichlet(np.ones(4), size=20)
    assert fidelity_scores(teacher, teacher) == {"agreement": 1.0, "kl": 0.0}


def test_kl_agrees_with_scipy():
    student, teacher = np.random.default_rng(0).dirichlet(np.ones(4), size=(2, 20))
    assert fidelity_scores(student, teacher)["kl"] == pytest.approx(entropy(teacher, student, axis=1).mean())


def test_a_class_the_student_lost_stays_finite():
    scores = fidelity_scores(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]))
    assert scores["agreement"] == 0.0
    assert scores["kl"] == pytest.approx(-math.log(np.finfo(np.float32).tiny))


def test_masks_are_compared_with_the_teachers():
    student, teacher = np.array([[[1, 1, 0, 0]]]), np.array([[[1, 0, 1, 0]]])
    assert mask_fidelity(student, teacher) == {"iou": pytest.approx(1 / 3), "f1": pytest.approx(1 / 2)}


def test_shapes_must_match():
    with pytest.raises(ValueError, match="differ"):
        fidelity_scores(np.full((2, 2), 0.5), np.full((3, 2), 0.5))
