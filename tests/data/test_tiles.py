"""Cutting into tiles and putting together again."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.data.tiles import cut, stitch, stitch_masks, tile_grid
from preceptor.errors import UserError
from preceptor.specs import IGNORED


def test_grid_by_hand():
    """Ten by seven in tiles of four that share one: 0, 3, 6 down, 0 and 3 across, both flush."""
    assert tile_grid(10, 7, 4, 1).tolist() == [[0, 0], [0, 3], [3, 0], [3, 3], [6, 0], [6, 3]]


def test_last_tile_is_flush():
    assert tile_grid(9, 4, 4, 0)[:, 0].tolist() == [0, 4, 5]


def test_small_image_gets_one_tile():
    assert tile_grid(3, 2, 4, 1).tolist() == [[0, 0]]


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 30), st.data())
def test_tiles_cover_every_pixel_and_stay_inside(height, width, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    covered = np.zeros((max(height, size), max(width, size)), dtype=bool)
    for y, x in tile_grid(height, width, size, overlap):
        assert y + size <= max(height, size)
        assert x + size <= max(width, size)
        covered[y : y + size, x : x + size] = True
    assert covered.all()


@pytest.mark.parametrize("overlap", [-1, 4, 5])
def test_overlap_that_goes_nowhere_is_refused(overlap):
    with pytest.raises(UserError, match="overlap is"):
        tile_grid(10, 10, 4, overlap)


def test_filling_takes_the_border_colour_and_counts_nowhere():
    image = np.full((3, 3, 3), 200, dtype=np.uint8)
    image[1, 1] = 10  # not on the border
    ((y, x, tile, mask),) = cut(image, np.ones((3, 3), dtype=np.uint8), 5)
    assert (y, x) == (0, 0)
    assert mask is not None
    np.testing.assert_array_equal(tile[:3, :3], image)
    assert (tile[3:] == 200).all()
    assert (mask == 1).sum() == 9
    assert (mask[3:] == IGNORED).all()
    assert (mask[:, 3:] == IGNORED).all()


def _rows(name, height, width, size, overlap):
    grid = tile_grid(height, width, size, overlap)
    return pd.DataFrame({"parent": name, "y": grid[:, 0], "x": grid[:, 1], "height": height, "width": width})


@pytest.mark.parametrize(("height", "width"), [(10, 7), (4, 4), (3, 9), (17, 23)])
def test_stitching_undoes_cutting(height, width):
    rng = np.random.default_rng(0)
    wholes = {name: rng.normal(size=(3, height, width)).astype(np.float32) for name in ("a", "b")}
    masks = {name: rng.integers(0, 4, (height, width)).astype(np.uint8) for name in wholes}
    rows = pd.concat([_rows(name, height, width, 4, 1) for name in wholes], ignore_index=True)
    padded = {
        name: np.pad(whole, ((0, 0), (0, max(0, 4 - height)), (0, max(0, 4 - width)))) for name, whole in wholes.items()
    }
    tiles = np.stack([padded[r.parent][:, r.y : r.y + 4, r.x : r.x + 4] for r in rows.itertuples()])
    mask_tiles = np.stack([np.pad(masks[r.parent], 4)[r.y + 4 : r.y + 8, r.x + 4 : r.x + 8] for r in rows.itertuples()])
    shuffled = rng.permutation(len(rows))

    whole = stitch(tiles[shuffled], rows.iloc[shuffled])
    whole_masks = stitch_masks(mask_tiles[shuffled], rows.iloc[shuffled])

    for name in wholes:
        np.testing.assert_allclose(whole[name], wholes[name], rtol=1e-6)
        np.testing.assert_array_equal(whole_masks[name], masks[name])


def test_overlaps_are_averaged():
    rows = _rows("a", 2, 3, 2, 1)  # columns 0-1 and 1-2
    tiles = np.stack([np.full((1, 2, 2), 1.0), np.full((1, 2, 2), 3.0)]).astype(np.float32)
    np.testing.assert_array_equal(stitch(tiles, rows)["a"], [[[1, 2, 3], [1, 2, 3]]])


def test_a_missing_tile_is_noticed():
    rows = _rows("a", 8, 4, 4, 0)
    with pytest.raises(ValueError, match="'a' are missing"):
        stitch(np.zeros((1, 2, 4, 4), dtype=np.float32), rows.iloc[:1])
