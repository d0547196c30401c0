import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from preceptor.measures import MaskAnswers, Resampler, mask_counts, masks_from_logits, segmentation_scores
from preceptor.measures.measure import scores_of
from preceptor.measures.segmentation import MEASURES, measures_of


def test_four_pixels_by_hand():
    """One pixel of each kind: IoU 1/3, F1 1/2."""
    counts = mask_counts(np.array([[[1, 1], [0, 0]]]), np.array([[[1, 0], [1, 0]]]))
    assert counts.tolist() == [[[1, 1, 1, 1]]]
    scores = segmentation_scores(counts)
    assert scores["iou"] == scores["iou_per_image"] == pytest.approx(1 / 3)
    assert scores["f1"] == scores["f1_per_image"] == pytest.approx(1 / 2)


def test_pooled_weighs_pixels_and_per_image_weighs_images():
    counts = np.array([[90, 0, 0, 10], [0, 10, 0, 90]])
    scores = segmentation_scores(counts)
    assert scores["iou"] == pytest.approx(0.9)
    assert scores["iou_per_image"] == pytest.approx(0.5)
    assert scores["f1"] == pytest.approx(180 / 190)


def test_nothing_found_where_nothing_is_counts_as_right():
    empty = np.zeros((3, 4, 4), dtype=int)
    assert segmentation_scores(mask_counts(empty, empty)) == {
        "iou": 1.0,
        "f1": 1.0,
        "iou_per_image": 1.0,
        "f1_per_image": 1.0,
    }


def test_classes_agree_with_scikit_learn():
    generator = np.random.default_rng(0)
    predicted, target = generator.integers(4, size=(2, 5, 8, 8))
    counts = mask_counts(predicted, target, classes=4)
    assert counts.shape == (5, 3, 4)
    assert (counts.sum(axis=-1) == 64).all()
    flat = predicted.ravel(), target.ravel()
    scores = segmentation_scores(counts)
    assert scores["iou"] == pytest.approx(metrics.jaccard_score(*flat, labels=[1, 2, 3], average="macro"))
    assert scores["f1"] == pytest.approx(metrics.f1_score(*flat, labels=[1, 2, 3], average="macro"))
    per_image = [
        metrics.jaccard_score(t.ravel(), p.ravel(), labels=[1, 2, 3], average="macro")
        for p, t in zip(predicted, target, strict=True)
    ]
    assert scores["iou_per_image"] == pytest.approx(np.mean(per_image))


def test_a_class_that_no_image_has_is_left_out_of_the_pooled_mean():
    counts = np.array([[[1, 1, 0, 2], [0, 0, 0, 4]]])
    assert segmentation_scores(counts)["iou"] == pytest.approx(0.5)
    assert segmentation_scores(counts)["iou_per_image"] == pytest.approx(0.75)


@given(st.integers(0, 2**32 - 1))
def test_f1_follows_from_pooled_iou(seed):
    predicted, target = np.random.default_rng(seed).integers(2, size=(2, 3, 4, 4))
    scores = segmentation_scores(mask_counts(predicted, target))
    assert scores["f1"] == pytest.approx(2 * scores["iou"] / (1 + scores["iou"]))


def test_masks_from_logits():
    assert masks_from_logits(np.array([[[[0.1, -0.1], [0.0, 5.0]]]])).tolist() == [[[1, 0], [0, 1]]]
    assert masks_from_logits(np.array([[[[0.0]], [[2.0]], [[1.0]]]])).tolist() == [[[1]]]


@pytest.mark.parametrize(
    ("predicted", "target", "message"),
    [
        (np.zeros((1, 2, 2), int), np.zeros((1, 2, 3), int), "differ in shape"),
        (np.zeros((1, 2, 2), int), np.full((1, 2, 2), 200), "target mask holds 200–200"),
        (np.full((1, 2, 2), -1), np.zeros((1, 2, 2), int), "predicted mask holds"),
    ],
)
def test_wrong_masks_are_refused(predicted, target, message):
    with pytest.raises(ValueError, match=message):
        mask_counts(predicted, target)
    with pytest.raises(ValueError, match="images ≥ 1"):
        segmentation_scores(np.zeros((0, 1, 4), dtype=int))


def test_ignored_pixels_are_counted_nowhere():
    predicted, target = np.array([[[0, 1, 2, 2], [1, 1, 0, 2]]]), np.array([[[0, 1, 2, 255], [0, 255, 255, 255]]])
    alone = mask_counts(np.array([[0, 1, 2, 1]]), np.array([[0, 1, 2, 0]]), classes=3)
    found = mask_counts(predicted, target, classes=3)
    assert found.tolist() == alone.tolist()
    assert found.sum(axis=-1).tolist() == [[4, 4]]
    assert not mask_counts(predicted, np.full((1, 2, 4), 255), classes=3).any()


def test_each_foreground_class_has_scores_of_all_pixels():
    counts = np.array([[[3, 1, 0, 6], [0, 0, 2, 8]], [[1, 1, 2, 6], [0, 0, 0, 10]]])
    measures = {one.key: one for one in measures_of(["background", "a b", "Übrige"])}
    assert list(measures) == ["iou.a b", "iou.Übrige", "f1.a b", "f1.Übrige"]
    scores = scores_of(measures, MaskAnswers(counts))
    assert scores == pytest.approx({"iou.a b": 4 / 8, "iou.Übrige": 0.0, "f1.a b": 8 / 12, "f1.Übrige": 0.0})
    assert measures["iou.a b"].addends is measures["f1.a b"].addends
    assert measures_of(["background", "foreground"]) == ()


def test_a_resample_without_any_foreground_says_nothing():
    """Three patients without a pixel and one that is missed: 0, not 0 to 1."""
    empty, missed = [[0, 0, 0, 64]], [[0, 0, 32, 32]]
    iou = next(measure for measure in MEASURES if measure.name == "iou")
    answers = MaskAnswers(np.array([empty, empty, empty, missed]))
    again = iou.resampled(Resampler(4).sums(iou.rows(answers))[1])
    assert np.isnan(again).any()
    assert set(again[~np.isnan(again)]) == {0.0}
    assert iou.of(MaskAnswers(np.array([empty, empty]))) == 1.0
    assert set(iou.resampled(iou.rows(MaskAnswers(np.array([empty, empty]))))) == {1.0}
