"""Outlines of masks: by hand, by scipy's distance transform, by MONAI."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, distance_transform_edt

from preceptor.measures import MaskAnswers
from preceptor.measures.surface import MEASURES, outline, surface_scores, surfaces_of
from preceptor.specs import IGNORED

HD95, SURFACE_DICE = MEASURES


def square(top, left, side=6, size=20):
    mask = np.zeros((size, size), dtype=np.int64)
    mask[top : top + side, left : left + side] = 1
    return mask


def blobs(seed, size=40):
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    mask = np.zeros((size, size), dtype=np.int64)
    for _ in range(4):
        (row, column), radius = generator.uniform(0, size, 2), generator.uniform(2, 9)
        mask[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = 1
    return mask


def test_the_outline_of_a_square_is_its_edge():
    assert outline(square(3, 4) == 1).sum() == 20
    assert outline(np.ones((5, 5), dtype=bool)).sum() == 16, "the border of the image is an outline"


def test_a_shifted_square_by_hand():
    """Of 20 pixels of either outline, those of two sides lie 3 away; the nearer ones are in the other's outline."""
    found = surface_scores(square(5, 5), square(5, 8), classes=2, tolerance=0.0)
    # top and bottom share 2 x 3 pixels; each outline's other 14 pixels are 1, 2 or 3 away
    assert found[0, 0] == pytest.approx(3.0)
    there = [0] * 6 + [1] * 2 + [2] * 2 + [3] * 10
    assert found[0, 1] == pytest.approx(2 * there.count(0) / 40)
    assert surface_scores(square(5, 5), square(5, 8), classes=2, tolerance=3.0)[0, 1] == 1.0


def test_microns_scale_distances_and_the_tolerance():
    one = surface_scores(blobs(0), blobs(1), classes=2, tolerance=2.0)
    half = surface_scores(blobs(0), blobs(1), classes=2, pixel=0.5, tolerance=1.0)
    np.testing.assert_allclose(half[0], [one[0, 0] / 2, one[0, 1]])


def test_empty_masks():
    nothing = np.zeros((20, 20), dtype=np.int64)
    assert np.isnan(surface_scores(nothing, nothing, classes=2)).all()
    for pair in ((nothing, square(5, 5)), (square(5, 5), nothing)):
        np.testing.assert_allclose(surface_scores(*pair, classes=2)[0], [np.hypot(20, 20), 0.0])


def test_ignored_pixels_are_of_no_class():
    target = square(5, 5)
    target[:, 11:] = IGNORED
    predicted = square(5, 5)
    predicted[5:11, 12:16] = 1
    np.testing.assert_allclose(surface_scores(predicted, target, classes=2)[0], [0.0, 1.0])


def by_transform(predicted, target, tolerance):
    """From the distance to the nearest outline pixel of every pixel of the image."""
    edges = [mask & ~binary_erosion(mask) for mask in (predicted == 1, target == 1)]
    there = distance_transform_edt(~edges[1])[edges[0]]
    back = distance_transform_edt(~edges[0])[edges[1]]
    near = (there <= tolerance).sum() + (back <= tolerance).sum()
    return max(np.quantile(there, 0.95), np.quantile(back, 0.95)), near / (len(there) + len(back))


@pytest.mark.parametrize("seed", range(6))
def test_as_by_the_distance_transform(seed):
    predicted, target = blobs(seed), blobs(seed + 100)
    found = surface_scores(predicted, target, classes=2, tolerance=2.0)
    np.testing.assert_allclose(found[0], by_transform(predicted, target, 2.0))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning:monai.*")
def test_as_by_monai():
    torch, metrics = pytest.importorskip("torch"), pytest.importorskip("monai.metrics")
    for seed in range(6):
        predicted, target = blobs(seed), blobs(seed + 100)
        pair = [torch.from_numpy(np.eye(2)[mask]).movedim(-1, 0)[None] for mask in (predicted, target)]
        hd95 = metrics.compute_hausdorff_distance(*pair, percentile=95)
        dice = metrics.compute_surface_dice(*pair, class_thresholds=[2.0])
        found = surface_scores(predicted, target, classes=2, tolerance=2.0)[0]
        np.testing.assert_allclose(found, [float(hd95), float(dice)], rtol=1e-6)


def score(measure, surfaces):
    counts = np.zeros((len(surfaces), surfaces.shape[1], 4), dtype=np.int64)
    return measure.of(MaskAnswers(counts, surfaces=surfaces))


def test_images_without_a_class_are_left_out():
    """Class 1 in two images, class 2 in one: the mean over images, then over classes."""
    surfaces = np.array([[[2.0, 0.5], [np.nan, np.nan]], [[4.0, 0.7], [8.0, 0.2]]])
    assert score(HD95, surfaces) == pytest.approx((3 + 8) / 2)
    assert score(SURFACE_DICE, surfaces) == pytest.approx((0.6 + 0.2) / 2)
    of_classes = surfaces_of(("background", "gland", "lumen"))
    assert {one.key: score(one, surfaces) for one in of_classes} == pytest.approx(
        {"hd95.gland": 3, "surface_dice.gland": 0.6, "hd95.lumen": 8, "surface_dice.lumen": 0.2}
    )


def test_nothing_anywhere_is_all_right():
    nothing = np.full((2, 1, 2), np.nan)
    assert (score(HD95, nothing), score(SURFACE_DICE, nothing)) == (0.0, 1.0)


def test_a_resample_without_the_class_says_nothing():
    sums = SURFACE_DICE.rows(
        MaskAnswers(np.zeros((2, 1, 4), dtype=np.int64), surfaces=np.array([[[1, 0.5]], [[np.nan] * 2]]))
    )
    np.testing.assert_array_equal(SURFACE_DICE.resampled(sums), [0.5, np.nan])


def test_one_class_has_no_scores_by_class():
    assert surfaces_of(("background", "nuclei")) == ()
