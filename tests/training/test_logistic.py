"""The logistic regression of a probe is scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from preceptor.training.logistic import logistic_heads


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    embeddings = rng.standard_normal((200, 12)) * rng.uniform(0.01, 30, 12) + 5
    embeddings[:, :3] += 10 * np.eye(3)[labels]
    return embeddings, labels


def test_each_c_is_the_optimum_that_scikit_learn_finds(drawn):
    embeddings, labels = drawn
    strengths = [1.0, 0.01, 100.0]
    features = StandardScaler().fit_transform(embeddings)
    for head, strength in zip(logistic_heads(embeddings, labels, 3, strengths), strengths, strict=True):
        wanted = LogisticRegression(C=strength, tol=1e-8, max_iter=5000).fit(features, labels)
        assert head.strength == strength
        assert head.has_converged
        np.testing.assert_allclose(head.probabilities(embeddings), wanted.predict_proba(features), atol=2e-3)


def test_what_does_not_vary_counts_for_nothing(drawn):
    embeddings, labels = drawn
    dull = np.concatenate([embeddings, np.full((200, 1), 7.0)], axis=1)
    (with_it,), (without,) = (logistic_heads(one, labels, 3, [1.0]) for one in (dull, embeddings))
    assert (with_it.weight[:, -1] == 0).all()
    np.testing.assert_allclose(with_it.probabilities(dull), without.probabilities(embeddings), atol=1e-6)


def test_a_class_without_images_is_never_said(drawn):
    embeddings, labels = drawn
    (head,) = logistic_heads(embeddings, labels, 4, [1.0])
    assert head.probabilities(embeddings)[:, 3].max() < 0.05
