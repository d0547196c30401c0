"""Augmentation: exact where it can be, and a sample's pixels are its own."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.data.augment import (
    Changes,
    affine_grid,
    augment,
    draw_changes,
    recoloured,
    stained,
    to_float,
    turned,
)
from preceptor.data.stains import stain_basis
from preceptor.errors import UserError
from preceptor.randomness import keys
from preceptor.specs import IGNORED, AugmentSpec

STILL = AugmentSpec(flip_horizontal=False, flip_vertical=False)
EVERYTHING = AugmentSpec(transpose=True, rotate=90, shift=0.2, scale=0.3, stain=0.4, colour=0.4)
SPECS = {
    "turns": AugmentSpec(transpose=True),
    "affine": AugmentSpec(rotate=30, shift=0.1, scale=0.1),
    "stain": AugmentSpec(stain=0.3),
    "colour": AugmentSpec(colour=0.3),
    "everything": EVERYTHING,
}
IDS = keys(f"sample {number}" for number in range(32))


def pictures(count=32, height=20, width=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)
    return images, torch.randint(0, 4, (count, height, width), dtype=torch.uint8, generator=generator)


def changes(**given):
    """One sample, nothing changed but what is given."""
    still = {"turn": 0, "angle": 0.0, "shift": [0.0, 0.0], "scale": 1.0, "stain": [0.0] * 6, "colour": [0.0] * 3}
    return Changes(**{name: np.array([value]) for name, value in (still | given).items()})


def moved(image, **given):
    """(H, W) float image through the affine grid of one set of changes."""
    grid = affine_grid(changes(**given), *image.shape, torch.device("cpu"))
    kwargs = {"mode": "bilinear", "padding_mode": "reflection", "align_corners": False}
    return torch.nn.functional.grid_sample(image[None, None], grid, **kwargs)[0, 0]


def test_to_float_is_a_division():
    images, _ = pictures()
    expected = images.permute(0, 3, 1, 2).double() / 255
    for channels_last in (False, True):
        floats = to_float(images, channels_last=channels_last)
        assert floats.dtype == torch.float32
        torch.testing.assert_close(floats.double(), expected, rtol=1e-7, atol=0)
    assert floats.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("turn", range(8))
def test_turns_are_the_symmetries_of_the_square(turn):
    """Against numpy, for a batch in which every other image is turned otherwise."""
    images, _ = pictures(count=4)
    result = turned(images, np.array([turn, 0, turn, 7 - turn]))
    for number, code in enumerate([turn, 0, turn, 7 - turn]):
        expected = images[number].numpy()
        if code & 4:
            expected = expected.transpose(1, 0, 2)
        if code & 1:
            expected = expected[:, ::-1]
        if code & 2:
            expected = expected[::-1]
        np.testing.assert_array_equal(result[number].numpy(), expected.transpose(2, 0, 1))


def test_turning_nothing_gives_nothing():
    assert turned(torch.zeros(0, 5, 5, 3, dtype=torch.uint8), np.zeros(0, dtype=np.int64)).shape == (0, 3, 5, 5)


def test_without_changes_pixels_stay():
    images, masks = pictures(height=7, width=9)
    pixels, same = augment(images, masks, STILL, seed=0, view=0, ids=IDS)
    assert torch.equal(pixels, to_float(images))
    assert torch.equal(same, masks)


def test_flips_alone_keep_every_value():
    images, masks = pictures()
    pixels, turned_masks = augment(images, masks, SPECS["turns"], seed=0, view=0, ids=IDS)
    assert torch.equal(pixels.flatten(1).sort().values, to_float(images).flatten(1).sort().values)
    assert torch.equal(turned_masks.flatten(1).sort().values, masks.flatten(1).sort().values)
    assert not torch.equal(pixels, to_float(images))


@pytest.mark.parametrize("side", [20, 33, 97])
@pytest.mark.parametrize("name", SPECS)
def test_a_sample_depends_on_itself_only(name, side):
    """Alone, among others, in another place, with another thread count: the same bits."""
    images, masks = pictures(height=side, width=side)
    spec = SPECS[name]
    whole, whole_masks = augment(images, masks, spec, seed=3, view=5, ids=IDS)
    for number in (0, 7, 31):
        one = slice(number, number + 1)
        pixels, mask = augment(images[one], masks[one], spec, seed=3, view=5, ids=IDS[one])
        assert torch.equal(pixels[0], whole[number])
        assert torch.equal(mask[0], whole_masks[number])
    order = torch.randperm(32, generator=torch.Generator().manual_seed(1))[:13]
    some, _ = augment(images[order], masks[order], spec, seed=3, view=5, ids=IDS[order.numpy()])
    assert torch.equal(some, whole[order])
    laid_out, _ = augment(images, masks, spec, seed=3, view=5, ids=IDS, channels_last=True)
    assert laid_out.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(laid_out, whole)

    threads = torch.get_num_threads()
    try:
        for other in (1, 2, 3):
            torch.set_num_threads(other)
            assert torch.equal(augment(images, masks, spec, seed=3, view=5, ids=IDS)[0], whole)
    finally:
        torch.set_num_threads(threads)


def test_views_seeds_and_samples_differ():
    image = pictures(count=1)[0].expand(32, -1, -1, -1)
    first, _ = augment(image, None, EVERYTHING, seed=0, view=0, ids=IDS)
    assert len({sample.numpy().tobytes() for sample in first}) == 32
    for other in ({"seed": 0, "view": 1}, {"seed": 1, "view": 0}):
        assert not torch.equal(augment(image, None, EVERYTHING, **other, ids=IDS)[0], first)


def test_one_option_does_not_change_the_draws_of_another():
    few = draw_changes(AugmentSpec(rotate=30), seed=0, view=0, ids=IDS)
    many = draw_changes(AugmentSpec(rotate=30, transpose=True, shift=0.1, stain=0.2), seed=0, view=0, ids=IDS)
    np.testing.assert_array_equal(few.angle, many.angle)
    np.testing.assert_array_equal(few.turn, many.turn & 3)


def test_draws_fill_their_ranges():
    ids = np.arange(4000, dtype=np.uint64)
    drawn = draw_changes(EVERYTHING, seed=0, view=0, ids=ids)
    assert abs(np.bincount(drawn.turn, minlength=8) / 4000 - 1 / 8).max() < 0.03
    for values, largest in ((drawn.angle, np.pi / 2), (drawn.shift, 0.2), (drawn.scale - 1, 0.3), (drawn.stain, 0.4)):
        assert 0.99 * largest < np.abs(values).max() <= largest
        assert abs(values.mean()) < 0.05 * largest


def test_quarter_turn_is_counter_clockwise_and_exact():
    image = torch.rand(8, 8)
    torch.testing.assert_close(moved(image, angle=np.pi / 2), image.rot90(), atol=1e-5, rtol=0)


def test_shift_moves_content_down_and_right():
    image = torch.zeros(10, 20)
    image[4, 10] = 1
    shifted = moved(image, shift=[0.2, 0.1])
    assert shifted.argmax() == 6 * 20 + 12
    torch.testing.assert_close(shifted.max(), torch.tensor(1.0))


def test_scale_enlarges_content():
    image = torch.zeros(40, 40)
    image[15:25, 15:25] = 1
    assert moved(image, scale=1.5).sum() == pytest.approx(225, rel=0.05)


def test_rotation_keeps_shapes_where_sides_differ():
    """A round spot stays round on an oblong image."""
    rows, columns = torch.meshgrid(torch.arange(30.0), torch.arange(60.0), indexing="ij")
    spot = (-((rows - 14.5) ** 2 + (columns - 29.5) ** 2) / 40).exp()
    inside = np.s_[4:26, 19:41]  # elsewhere the mirrored border comes in
    torch.testing.assert_close(moved(spot, angle=0.7)[inside], spot[inside], atol=0.01, rtol=0)


@settings(deadline=None, max_examples=30)
@given(st.floats(-1, 1), st.floats(-0.3, 0.3), st.floats(0.7, 1.3))
def test_mask_moves_with_its_image(angle, shift, scale):
    """An image that shows its own mask still does so after any change, but for the blur at edges."""
    mask = torch.zeros(1, 40, 40, dtype=torch.uint8)
    mask[:, 10:22, 14:32] = 1
    image = mask[..., None].expand(-1, -1, -1, 3) * 255
    spec = AugmentSpec(rotate=abs(angle) * 90, shift=abs(shift), scale=abs(scale - 1), transpose=True)
    pixels, moved_mask = augment(image.contiguous(), mask, spec, seed=int(1e6 * (angle + 1)), view=0, ids=IDS[:1])
    assert set(moved_mask.unique().tolist()) <= {0, 1}
    assert ((pixels[:, 0] > 0.5) != moved_mask.bool()).float().mean() < 0.02


def test_no_stain_change_is_no_change():
    planes = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    torch.testing.assert_close(stained(planes, np.zeros((1, 6))), planes / 255, atol=2e-6, rtol=0)


def test_stain_change_by_hand():
    """Doubling haematoxylin's amount doubles the density of a pixel that holds nothing else."""
    density = 0.4 * stain_basis()[0]
    pixel = np.exp(-density) * 256 - 1
    planes = torch.tensor(np.round(pixel), dtype=torch.uint8).reshape(1, 3, 1, 1)
    result = stained(planes, np.array([[1.0, 0, 0, 0, 0, 0]]))[0, :, 0, 0]
    expected = (np.exp(-2 * density) * 256 - 1) / 255
    np.testing.assert_allclose(result.numpy(), expected, atol=0.01)


def test_stain_matches_the_slow_way():
    planes = pictures(count=5)[0].permute(0, 3, 1, 2).contiguous()
    stain = np.random.default_rng(0).uniform(-0.4, 0.4, (5, 6))
    basis = stain_basis()
    density = -np.log((planes.numpy().astype(float) + 1) / 256).transpose(0, 2, 3, 1)
    amounts = density @ np.linalg.inv(basis)
    amounts = amounts * (1 + stain[:, None, None, :3]) + 0.2 * stain[:, None, None, 3:]
    expected = np.clip((np.exp(-amounts @ basis) * 256 - 1) / 255, 0, 1).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(stained(planes, stain).numpy(), expected, atol=1e-4)


def test_colour_by_hand():
    pixels = torch.tensor([0.2, 0.4, 0.6]).reshape(1, 3, 1, 1)
    luma = 0.2 * 0.299 + 0.4 * 0.587 + 0.6 * 0.114
    for colour, expected in (
        ([0.0, 0.0, 0.0], [0.2, 0.4, 0.6]),
        ([0.5, 0.0, 0.0], [0.3, 0.6, 0.9]),
        ([0.0, 0.5, 0.0], [0.05, 0.35, 0.65]),
        ([0.0, 0.0, -1.0], [luma] * 3),
        ([1.0, 0.0, 0.0], [0.4, 0.8, 1.0]),
    ):
        np.testing.assert_allclose(recoloured(pixels, np.array([colour])).flatten(), expected, atol=1e-6)


def test_values_stay_in_range():
    images, _ = pictures()
    pixels, _ = augment(images, None, EVERYTHING, seed=0, view=0, ids=IDS)
    assert pixels.min() >= 0
    assert pixels.max() <= 1


def test_transpose_wants_square_images():
    images, _ = pictures(height=8, width=10)
    with pytest.raises(UserError, match="the images are 8 × 10"):
        augment(images, None, AugmentSpec(transpose=True), seed=0, view=0, ids=IDS)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_masks_keep_to_their_values(spec):
    """Classes, and pixels that are to be ignored: the nearest is taken, none is made up between two."""
    images, masks = pictures()[0], torch.randint(0, 4, (32, 20, 20), dtype=torch.uint8)
    masks[masks == 3] = IGNORED
    _, found = augment(images, masks, spec, seed=1, view=2, ids=IDS)
    assert set(found.unique().tolist()) == {0, 1, 2, IGNORED}
