import numpy as np
import pytest
from sklearn import metrics

from preceptor.measures import auroc, classification_scores, confusion_matrix
from preceptor.measures.classification import placements, ranking_area


def random_case(samples=200, classes=5, seed=0, ties=False):
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=samples)
    logits = generator.normal(size=(samples, classes)) + 1.5 * np.eye(classes)[labels]
    if ties:
        logits = logits.round()
    probabilities = np.exp(logits)
    return probabilities / probabilities.sum(axis=1, keepdims=True), labels


def test_three_samples_by_hand():
    """Right, wrong, right; class 0 is found once of two, class 1 once of one and claimed twice."""
    scores = classification_scores(np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]), np.array([0, 0, 1]))
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["precision"] == pytest.approx((1 / 1 + 1 / 2) / 2)
    assert scores["recall"] == pytest.approx((1 / 2 + 1 / 1) / 2)
    assert scores["f1"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert scores["auroc"] == 1.0
    assert scores["ece"] == pytest.approx((0.1 + 0.6 + 0.2) / 3)


@pytest.mark.parametrize("classes", [2, 3, 8])
@pytest.mark.parametrize("ties", [False, True])
def test_agrees_with_scikit_learn(classes, ties):
    probabilities, labels = random_case(classes=classes, ties=ties)
    predictions = probabilities.argmax(axis=1)
    scores = classification_scores(probabilities, labels)
    assert scores["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predictions))
    for name, reference in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
    ):
        assert scores[name] == pytest.approx(reference(labels, predictions, average="macro", zero_division=0))
    if classes == 2:
        assert scores["auroc"] == pytest.approx(metrics.roc_auc_score(labels, probabilities[:, 1]))
    else:
        assert scores["auroc"] == pytest.approx(metrics.roc_auc_score(labels, probabilities, multi_class="ovr"))


def test_auroc_counts_ordered_pairs():
    generator = np.random.default_rng(3)
    scores, positive = generator.integers(0, 5, size=40).astype(float), generator.random(40) < 0.4
    pairs = [np.sign(above - below) / 2 + 0.5 for above in scores[positive] for below in scores[~positive]]
    assert ranking_area(scores, positive) == pytest.approx(np.mean(pairs))


def test_an_absent_class_gives_no_nan():
    probabilities, labels = random_case(classes=4)
    labels = np.minimum(labels, 2)
    scores = classification_scores(probabilities, labels)
    assert np.isfinite(list(scores.values())).all()
    one_against_rest = [metrics.roc_auc_score(labels == c, probabilities[:, c]) for c in range(3)]
    assert scores["auroc"] == pytest.approx(np.mean(one_against_rest))


def test_one_class_only_has_no_auroc():
    probabilities, _ = random_case(classes=2)
    scores = classification_scores(probabilities, np.zeros(200, dtype=int))
    assert "auroc" not in scores
    assert auroc(probabilities, np.zeros(200, dtype=int)) is None
    assert np.isfinite(list(scores.values())).all()


def test_confusion_matrix_has_labels_in_rows():
    assert confusion_matrix(np.array([0, 0, 2]), np.array([0, 1, 2]), classes=3).tolist() == [
        [1, 1, 0],
        [0, 0, 0],
        [0, 0, 1],
    ]


def test_classes_that_never_occur_are_not_averaged():
    assert classification_scores(np.eye(3)[[0, 0, 0, 1, 1]], np.array([0, 0, 0, 1, 1]))["recall"] == 1.0


@pytest.mark.timeout(20)
def test_many_samples_take_seconds():
    probabilities, labels = random_case(samples=100_000, classes=10)
    assert classification_scores(probabilities.astype(np.float32), labels)["accuracy"] > 0.3


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        (np.full((2, 3), 0.5), np.array([0, 1]), "apply softmax"),
        (np.array([[np.nan, 1.0]]), np.array([0]), "apply softmax"),
        (np.full((2, 2), 0.5), np.array([0, 2]), "0–2 for 2 classes"),
        (np.full((2, 2), 0.5), np.array([0]), "for 2 rows"),
        (np.empty((0, 2)), np.array([], dtype=int), "samples, classes"),
    ],
)
def test_what_cannot_be_scored_is_refused(probabilities, labels, message):
    with pytest.raises(ValueError, match=message):
        classification_scores(probabilities, labels)


def test_placements_by_hand():
    """Positives 3 and 1 among negatives 2, 1 and 0; the tie at 1 counts half."""
    scores, positive = np.array([3.0, 2.0, 1.0, 1.0, 0.0]), np.array([True, False, True, False, False])
    of_positives, of_negatives = placements(scores, positive)
    assert of_positives == pytest.approx([1.0, 1.5 / 3])
    assert of_negatives == pytest.approx([1 / 2, 1.5 / 2, 1.0])
    assert of_positives.mean() == pytest.approx(of_negatives.mean())
    with pytest.raises(ValueError, match="at least one positive"):
        placements(scores, np.ones(5, dtype=bool))
