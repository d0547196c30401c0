"""Resizing and filling of images with their masks: timm's transforms, to the pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from timm.data import create_transform

from preceptor.data.resize import fill, rules_of, to_image_size, to_network_size
from preceptor.specs import IGNORED

CROP_MODES = {"squash": "squash", "crop": "center", "pad": "border"}
MEAN = (0.7, 0.5, 0.62)
PADDING = (178, 128, 158)  # round(255 · 0.7) is 178: half to even, as timm rounds


def noise(height, width):
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def with_timm(image, size, rule):
    transform = create_transform(
        (3, *size), crop_pct=1.0, crop_mode=CROP_MODES[rule], interpolation="bilinear", mean=MEAN, normalize=False
    )
    return transform(Image.fromarray(image)).numpy().transpose(1, 2, 0)


sides = st.integers(1, 40)


@settings(max_examples=300, deadline=None)
@given(st.tuples(sides, sides), st.tuples(sides, sides), st.booleans(), st.sampled_from(["squash", "crop", "pad"]))
def test_every_rule_is_timms_to_the_pixel(found, wanted, square, rule):
    """Odd sizes too, images smaller than the target, and targets that are not square."""
    wanted = (wanted[0], wanted[0]) if square else wanted
    narrowest = min(found[0] / wanted[0], found[1] / wanted[1]) / max(found[0] / wanted[0], found[1] / wanted[1])
    if rule == "pad" and narrowest * min(wanted) <= 0.5:
        return  # timm scales a side to nothing and fails; here one pixel is left
    image, _ = to_network_size(noise(*found), None, wanted, rule, PADDING)
    np.testing.assert_array_equal(image, with_timm(noise(*found), wanted, rule))


@pytest.mark.parametrize("rule", ["squash", "crop", "pad"])
@pytest.mark.parametrize("wanted", [(224, 224), (96, 160), (31, 33)])
@pytest.mark.parametrize("found", [(768, 768), (1000, 1001), (450, 600), (27, 27), (700, 461)])
def test_usual_sizes_are_timms_to_the_pixel(found, wanted, rule):
    image, _ = to_network_size(noise(*found), None, wanted, rule, PADDING)
    np.testing.assert_array_equal(image, with_timm(noise(*found), wanted, rule))


def _halves(height, width):
    """Left half black and class 0, right half white and class 3."""
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[:, width // 2 :] = 3
    return np.repeat((mask[..., None] // 3) * np.uint8(255), 3, axis=2), mask


@pytest.mark.parametrize("rule", ["squash", "crop", "pad"])
@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (10, 12), (50, 50)])
def test_mask_moves_with_its_image_and_keeps_its_classes(rule, shape):
    image, mask = to_network_size(*_halves(*shape), (30, 30), rule)
    assert image.shape == (30, 30, 3)
    assert mask is not None
    assert mask.shape == (30, 30)
    assert set(np.unique(mask)) == {0, 3} | ({IGNORED} if rule == "pad" and shape[0] != shape[1] else set())
    if rule != "pad":
        assert (mask[:, :15] == 0).all()
        assert (mask[:, 15:] == 3).all()
        assert (image[:, :13] == 0).all()
        assert (image[:, 17:] == 255).all()


def test_right_size_is_left_alone():
    image, mask = _halves(8, 10)
    same, same_mask = to_network_size(image, mask, (8, 10), "pad")
    assert same is image
    assert same_mask is mask


def test_crop_keeps_the_centre():
    image = np.zeros((10, 30, 3), dtype=np.uint8)
    image[:, 10:20] = 255
    cropped, _ = to_network_size(image, None, (10, 10), "crop")
    assert (cropped == 255).all()


def test_pad_keeps_the_shape_and_fills_around():
    image = np.full((10, 20, 3), 90, dtype=np.uint8)
    padded, mask = to_network_size(image, np.ones((10, 20), dtype=np.uint8), (40, 40), "pad", (1, 2, 3))
    assert mask is not None
    assert (padded[:10] == (1, 2, 3)).all()
    assert (padded[30:] == (1, 2, 3)).all()
    assert (padded[10:30] == 90).all()
    assert (mask[10:30] == 1).all()
    assert (mask[:10] == IGNORED).all()
    assert (mask[30:] == IGNORED).all()


def test_packed_sets_of_the_older_rules_are_told_apart_and_squash_is_not():
    assert rules_of("squash", None) == {"resize": "squash"}
    assert rules_of("crop", None) != {"resize": "crop"}
    assert rules_of("pad", (1, 2, 3)) != rules_of("pad", (1, 2, 4)) != {"resize": "pad"}


def test_fill_adds_below_and_right_in_the_colour_of_the_border():
    image, mask = fill(np.full((2, 3, 3), 7, dtype=np.uint8), np.ones((2, 3), dtype=np.uint8), 4, 5)
    assert image.shape == (4, 5, 3)
    assert (image == 7).all()
    assert (mask[:2, :3] == 1).all()
    assert (mask == IGNORED).sum() == 4 * 5 - 6


@pytest.mark.parametrize("rule", ["squash", "crop", "pad"])
def test_each_channel_is_resized_alone_and_16_bits_are_kept(rule):
    """Of two and of four channels none is opacity."""
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    small, _ = to_network_size(image, None, (8, 8), rule, (10, 20, 30, 40))
    rgb, _ = to_network_size(np.ascontiguousarray(image[..., :3]), None, (8, 8), rule, (10, 20, 30))
    assert np.array_equal(small[..., :3], rgb)
    wide, _ = to_network_size(image.astype(np.uint16) * 257, None, (8, 8), rule, (10, 20, 30, 40))
    assert wide.dtype == np.uint16
    assert np.abs(wide / 257 - small).max() < 1


broad = st.integers(8, 40)  # so that some of the image is never less than a pixel of it


@settings(max_examples=200, deadline=None)
@given(st.tuples(broad, broad), st.tuples(broad, broad), st.sampled_from(["squash", "crop", "pad"]))
def test_a_mask_goes_back_to_where_it_came_from(found, wanted, rule):
    """A mask that is foreground wherever the image was seen is so at the image's size, but for what was cut off."""
    image = noise(*found)
    seen, _ = to_network_size(np.full_like(image, 255), None, wanted, rule, (0, 0, 0))
    back = to_image_size((seen[..., 0] > 127).astype(np.uint8), found, rule)
    assert back.shape == found
    assert back.all() if rule == "squash" else back.any()


@pytest.mark.parametrize(
    ("rule", "size", "expected"),
    [
        ("squash", (2, 4), [[1, 1, 0, 0], [1, 1, 0, 0]]),
        ("pad", (1, 2), [[1, 0]]),  # the image fills the middle row or rows of the square
        ("crop", (2, 4), [[0, 1, 0, 0], [0, 1, 0, 0]]),  # the square is the middle of the image
    ],
)
def test_masks_by_hand(rule, size, expected):
    np.testing.assert_array_equal(to_image_size(np.array([[1, 0], [1, 0]], dtype=np.uint8), size, rule), expected)
