"""Orientation tags turn images and masks, in every format that has them; pictures beside the first are left out."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from preceptor.data.images import FileReader, read_image, read_mask
from preceptor.data.pixels import PixelRules
from preceptor.data.pixels.stored import upright
from preceptor.errors import UserError

STORED = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
"""What lies in the file: 0 1 2 / 3 4 5 times 40."""
UPRIGHT = {  # by hand, from the definition: where the file's first row and first column are to be seen
    1: [[0, 1, 2], [3, 4, 5]],  # top, left
    2: [[2, 1, 0], [5, 4, 3]],  # top, right
    3: [[5, 4, 3], [2, 1, 0]],  # bottom, right
    4: [[3, 4, 5], [0, 1, 2]],  # bottom, left
    5: [[0, 3], [1, 4], [2, 5]],  # left, top
    6: [[3, 0], [4, 1], [5, 2]],  # right, top
    7: [[5, 2], [4, 1], [3, 0]],  # right, bottom
    8: [[2, 5], [1, 4], [0, 3]],  # left, bottom
}


def save(path, turn):
    image = Image.fromarray(np.repeat(STORED[..., None], 3, 2))
    exif = Image.Exif()
    exif[274] = turn
    if path.suffix == ".tif":
        image.save(path, tiffinfo={274: turn}, compression="tiff_lzw" if "lzw" in path.stem else None)
    elif path.suffix == ".jpg":  # 16 x 16 pixels of one value survive
        Image.fromarray(np.kron(np.repeat(STORED[..., None], 3, 2), np.ones((16, 16, 1), np.uint8))).save(
            path, exif=exif, quality=100
        )
    else:
        image.save(path, exif=exif, lossless=True)
    return path


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_turn_by_hand(turn):
    assert upright(STORED, turn).tolist() == (np.array(UPRIGHT[turn]) * 40).tolist()


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif", "lzw.tif", "a.jpg"])
def test_images_stand_upright_in_every_format(tmp_path, name, turn):
    file = save(tmp_path / name, turn)
    step = 16 if name == "a.jpg" else 1
    found = read_image(file)[step // 2 :: step, step // 2 :: step, 0]
    assert np.abs(found.astype(int) - np.array(UPRIGHT[turn]) * 40).max() <= (2 if step > 1 else 0)
    as_stored = read_image(file, PixelRules(orientation="stored"))[step // 2 :: step, step // 2 :: step, 0]
    assert np.abs(as_stored.astype(int) - STORED).max() <= (2 if step > 1 else 0)


@pytest.mark.parametrize("turn", [5, 6, 7])
def test_values_that_tifffile_reads_are_turned_as_well(tmp_path, turn):
    values = np.repeat(STORED[..., None], 3, 2).astype(np.uint16) * 256
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extratags=[(274, 3, 1, turn, True)])
    assert read_image(tmp_path / "a.tif")[..., 0].tolist() == (np.array(UPRIGHT[turn]) * 40).tolist()


def test_masks_are_turned_by_their_own_tag_and_fit_upright_images(tmp_path):
    image = save(tmp_path / "i.jpg", 6)
    mask = np.zeros((48, 32), np.uint8)
    mask[:, :16] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    pixels, found = FileReader((str(image),), ((str(tmp_path / "m.png"),),))(0)
    assert pixels.shape == (48, 32, 3)
    assert found is not None
    assert pixels[found == 1].mean() > pixels[found == 0].mean() + 100
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.rot90(mask)).save(tmp_path / "t.png", exif=exif)
    assert np.array_equal(read_mask(tmp_path / "t.png"), mask // 255)


def test_a_mask_that_fits_the_stored_image_only_is_told_so(tmp_path):
    image = str(save(tmp_path / "i.png", 6))
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(tmp_path / "m.png")
    masks = ((str(tmp_path / "m.png"),),)
    with pytest.raises(UserError, match=r"orientation tag turns .* data\.options\.orientation=stored"):
        FileReader((image,), masks)(0)
    pixels, mask = FileReader((image,), masks, rules=PixelRules(orientation="stored"))(0)
    assert mask is not None
    assert pixels.shape[:2] == mask.shape == (2, 3)


def test_of_several_pictures_of_a_camera_the_first_is_read(tmp_path):
    first, second = Image.new("RGB", (32, 24), (200, 10, 10)), Image.new("RGB", (8, 6))
    content = io.BytesIO()
    first.save(content, "MPO", save_all=True, append_images=[second])
    (tmp_path / "a.jpg").write_bytes(content.getvalue())
    assert read_image(tmp_path / "a.jpg").shape == (24, 32, 3)
    assert abs(int(read_image(tmp_path / "a.jpg")[0, 0, 0]) - 200) < 3


@pytest.mark.parametrize("is_marked", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_of_a_pyramid_the_full_size_is_read(tmp_path, dtype, is_marked):
    whole = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(dtype) * (1 if dtype == np.uint8 else 256)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        if not is_marked:
            file.write(whole[::4, ::4], photometric="rgb")
        file.write(whole, photometric="rgb")
        file.write(whole[::2, ::2], photometric="rgb", subfiletype=1 if is_marked else 0)
    assert np.array_equal(read_image(tmp_path / "a.tif"), whole if dtype == np.uint8 else whole // 256)


def test_stacks_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 8, 8), np.uint16), imagej=True)
    with pytest.raises(UserError, match=r"5 (pages|planes)"):
        read_image(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((5, 8, 8), np.uint8), photometric="minisblack")
    with pytest.raises(UserError, match=r"5 pages or frames: one was expected.*data\.channels=5"):
        read_image(tmp_path / "b.tif")
    values = np.random.default_rng(0).integers(0, 256, (5, 8, 8)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "b.tif", values, photometric="minisblack")
    assert np.array_equal(read_image(tmp_path / "b.tif", PixelRules(channels=5)), np.moveaxis(values, 0, 2))


def test_a_tiff_without_width_is_named(tmp_path):
    content = bytearray(b"II*\0\x08\0\0\0\x01\0" + b"\x02\x01\x03\0\x01\0\0\0\x08\0\0\0" + b"\0" * 40)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(UserError, match="it says nothing of its width and height"):
        read_image(tmp_path / "a.tif")
