"""Resizing and filling of images with their masks."""

import numpy as np
import pytest

from preceptor.data.resize import fill, fit


def _halves(height, width):
    """Left half black and class 0, right half white and class 3."""
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[:, width // 2 :] = 3
    return np.repeat((mask[..., None] // 3) * np.uint8(255), 3, axis=2), mask


@pytest.mark.parametrize("rule", ["squash", "crop", "pad"])
@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (10, 12), (50, 50)])
def test_mask_moves_with_its_image_and_keeps_its_classes(rule, shape):
    image, mask = fit(*_halves(*shape), (30, 30), rule)
    assert image.shape == (30, 30, 3)
    assert mask is not None
    assert set(np.unique(mask)) == {0, 3}
    if rule != "pad":
        assert (mask[:, :15] == 0).all()
        assert (mask[:, 15:] == 3).all()
        assert (image[:, :13] == 0).all()
        assert (image[:, 17:] == 255).all()


def test_right_size_is_left_alone():
    image, mask = _halves(8, 10)
    same, same_mask = fit(image, mask, (8, 10), "pad")
    assert same is image
    assert same_mask is mask


def test_crop_keeps_the_centre():
    image = np.zeros((10, 30, 3), dtype=np.uint8)
    image[:, 10:20] = 255
    cropped, _ = fit(image, None, (10, 10), "crop")
    assert (cropped == 255).all()


def test_pad_keeps_the_shape_and_fills_around():
    image = np.full((10, 20, 3), 90, dtype=np.uint8)
    image[3:7, 5:15] = 250
    padded, mask = fit(image, np.ones((10, 20), dtype=np.uint8), (40, 40), "pad")
    assert mask is not None
    assert (padded[:10] == 90).all()
    assert (padded[30:] == 90).all()
    assert mask[10:30].all()
    assert mask.sum() == 20 * 40


def test_fill_adds_below_and_right():
    image, mask = fill(np.full((2, 3, 3), 7, dtype=np.uint8), None, 4, 5)
    assert image.shape == (4, 5, 3)
    assert mask is None
    assert (image == 7).all()
