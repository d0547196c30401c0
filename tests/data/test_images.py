"""Every kind of image becomes RGB by the stated rules; nothing damaged gets through."""

import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from preceptor.data.images import FileReader, read_image, read_mask
from preceptor.errors import UserError

from .trees import save_array, save_image, save_mask, truncate


def test_rgb_is_read_as_it_is(tmp_path):
    values = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert np.array_equal(read_image(save_array(tmp_path / "a.png", values)), values)


@pytest.mark.parametrize(
    ("name", "stored", "wanted"),
    [
        ("grey", np.array([[0, 7], [200, 255]], dtype=np.uint8), [0, 7, 200, 255]),
        ("two_valued", np.array([[False, True], [True, False]]), [0, 255, 255, 0]),
        ("16_bit", np.array([[0, 255], [256, 65535]], dtype=np.uint16), [0, 0, 1, 255]),
    ],
)
def test_one_channel_goes_to_all_three(tmp_path, name, stored, wanted):
    image = read_image(save_array(tmp_path / f"{name}.png", stored))
    assert image.dtype == np.uint8
    for channel in range(3):
        assert image[..., channel].ravel().tolist() == wanted


def test_transparency_is_laid_over_white(tmp_path):
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 200, 51]]], dtype=np.uint8)
    image = read_image(save_array(tmp_path / "a.png", rgba))
    assert image[0].tolist() == [[10, 20, 30], [255, 255, 255], [204, 224, 244]]  # 51/255 = 1/5
    grey = np.array([[[100, 51]]], dtype=np.uint8)
    assert read_image(save_array(tmp_path / "b.png", grey))[0, 0].tolist() == [224, 224, 224]


def test_palette_is_resolved(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode=None).convert("P")
    image.putpalette([1, 2, 3, 40, 50, 60])
    image.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0].tolist() == [[1, 2, 3], [40, 50, 60]]


def test_16_bit_colour_keeps_the_high_byte(tmp_path):
    values = (np.arange(12, dtype=np.uint16) * 5000).reshape(2, 2, 3)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb")
    assert np.array_equal(read_image(tmp_path / "a.tif"), values // 256)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_floats_between_0_and_1_are_scaled(tmp_path, channels):
    values = np.linspace(0, 1, 16 * (3 if channels else 1), dtype=np.float32).reshape(4, 4, *channels)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb" if channels else "minisblack")
    image = read_image(tmp_path / "a.tif")
    assert np.array_equal(
        image, np.rint(values * 255).astype(np.uint8).reshape(4, 4, -1).repeat(1 if channels else 3, 2)
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[0.5, np.nan]], dtype=np.float32), "1 pixel values that are NaN"),
        (np.array([[0.5, 20.0]], dtype=np.float32), "floats must lie in 0 to 1"),
        (np.array([[5, 20]], dtype=np.int32), "int32 values"),
        (np.zeros((3, 4, 4), dtype=np.uint8), "3 pages"),
    ],
)
def test_values_without_a_known_range_are_refused(tmp_path, values, message):
    tifffile.imwrite(tmp_path / "odd.tif", values, photometric="minisblack")
    with pytest.raises(UserError, match=message) as caught:
        read_image(tmp_path / "odd.tif")
    assert "odd.tif" in str(caught.value)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp"])
def test_truncated_images_are_named(tmp_path, ending):
    file = truncate(save_image(tmp_path / f"cut.{ending}", size=(64, 64)))
    with pytest.raises(UserError, match=rf"cut\.{ending}' is damaged"):
        read_image(file)


def as_jpeg(path, values):
    Image.fromarray(values).save(path, "JPEG", progressive="p" in path.name)


def as_tiff(path, values):
    Image.fromarray(values).save(path, compression=path.stem)


def by_strips(path, values):
    tifffile.imwrite(path, values, photometric="rgb", rowsperstrip=5, compression="zlib" if "z" in path.stem else None)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("a.png", save_array),
        ("a.bmp", save_array),
        ("a.webp", save_array),
        ("a.jpg", as_jpeg),
        ("p.jpg", as_jpeg),
        ("tiff_lzw.tif", as_tiff),
        ("tiff_adobe_deflate.tif", as_tiff),
        ("packbits.tif", as_tiff),
        ("a.tif", by_strips),
        ("z.tif", by_strips),
        ("16.tif", lambda path, values: by_strips(path, values.astype(np.uint16) * 256)),
        ("z16.tif", lambda path, values: by_strips(path, values.astype(np.uint16) * 256)),
        ("zf.tif", lambda path, values: by_strips(path, (values / 255).astype(np.float32))),
    ],
)
def test_a_cut_file_is_never_half_read(tmp_path, name, save):
    """Wherever it is cut: it is refused, or only what follows the pixels is gone."""
    save(tmp_path / name, np.kron(np.arange(75).reshape(5, 5, 3) * 3, np.ones((4, 4, 1))).astype(np.uint8))
    whole, content = read_image(tmp_path / name), (tmp_path / name).read_bytes()
    ends = {*range(0, len(content), max(1, len(content) // 40)), *range(len(content) - 20, len(content))}
    for end in sorted(ends):
        (tmp_path / name).write_bytes(content[:end])
        with suppress(UserError):
            assert np.array_equal(read_image(tmp_path / name), whole), f"half read at {end} of {len(content)}"


def with_tag(path, tag, value):
    """Overwrite a whole-number tag of a little-endian TIFF."""
    content = bytearray(path.read_bytes())
    start = int.from_bytes(content[4:8], "little")
    for place in range(start + 2, start + 2 + 12 * int.from_bytes(content[start : start + 2], "little"), 12):
        if int.from_bytes(content[place : place + 2], "little") == tag:
            short = content[place + 2] == 3
            content[place + 8 : place + (10 if short else 12)] = value.to_bytes(2 if short else 4, "little")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 8}, {"tile": (16, 16)}, {"planarconfig": "separate"}])
def test_a_tiff_that_lists_too_few_parts_is_not_filled_up(tmp_path, dtype, layout):
    shape = (3, 20, 20) if "planarconfig" in layout else (20, 20, 3)
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, np.zeros(shape, dtype), photometric="rgb", **layout)
    assert read_image(file).shape == (20, 20, 3)
    with pytest.raises(UserError, match=r"a\.tif' is damaged or no image: it lists \d+ parts of the image"):
        read_image(with_tag(file, 257, 200))


def test_absurd_sizes_are_refused_before_anything_is_allocated(tmp_path, capfd):
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, np.zeros((16, 16, 3), np.float32), photometric="rgb")
    for tag in (256, 257, 278):
        with_tag(file, tag, 60_000)
    with pytest.raises(UserError, match=r"a\.tif' is too large to decode at once: it has 60,000 x 60,000 pixels"):
        read_image(file)
    assert capfd.readouterr() == ("", "")  # tifffile has its own remarks


def test_only_known_formats_are_opened_whatever_the_name(tmp_path, monkeypatch):
    """PostScript would start Ghostscript."""
    (tmp_path / "bin").mkdir()
    ghost = tmp_path / "bin" / "gs"
    ghost.write_text(f"#!/bin/sh\ntouch {tmp_path / 'started'}\nexit 1\n")
    ghost.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ghost.parent}:{os.environ['PATH']}")
    for name in ("a.png", "a.tif"):
        (tmp_path / name).write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
        for read in (read_image, read_mask):
            with pytest.raises(UserError, match="it is no PNG, JPEG, JPEG 2000, TIFF"):
                read(tmp_path / name)
    assert not (tmp_path / "started").exists()
    Image.new("RGB", (8, 8)).save(tmp_path / "pcx.png", "PCX")
    with pytest.raises(UserError, match="it is no PNG"):
        read_image(tmp_path / "pcx.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "jpeg.png", "JPEG")
    assert read_image(tmp_path / "jpeg.png").shape == (8, 8, 3)


@pytest.mark.parametrize("read", [read_image, read_mask])
def test_pipes_and_devices_are_never_opened(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.png")
    os.symlink("/dev/zero", tmp_path / "zero.tif")
    (tmp_path / "folder.jpg").mkdir()
    for name, kind in (("pipe.png", r"a named pipe \(FIFO\)"), ("zero.tif", "a device"), ("folder.jpg", "a folder")):
        with pytest.raises(UserError, match=rf"{read.__name__[5:]} '.*{name}' is {kind}"):
            read(tmp_path / name)


def test_cut_images_are_never_let_through(tmp_path, monkeypatch):
    from PIL import ImageFile

    import preceptor.networks.build  # noqa: F401  # what training imports does not switch it on

    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(UserError, match="LOAD_TRUNCATED_IMAGES"):
        read_image(save_image(tmp_path / "a.png"))


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / "note.png").write_text("hello")
    with pytest.raises(UserError, match=r"note\.png' is damaged or no image"):
        read_image(tmp_path / "note.png")
    with pytest.raises(UserError, match=r"gone\.png' does not exist"):
        read_image(tmp_path / "gone.png")


def test_masks_of_0_1_and_of_0_255_are_the_same(tmp_path):
    by_255 = read_mask(save_mask(tmp_path / "a.png"))
    assert np.array_equal(by_255, read_mask(save_mask(tmp_path / "b.png", foreground=1)))
    assert np.unique(by_255).tolist() == [0, 1]
    assert by_255.sum() == 16
    assert read_mask(save_mask(tmp_path / "full.png", side=8)).all()
    assert not read_mask(save_mask(tmp_path / "none.png", side=0)).any()
    assert np.array_equal(read_mask(save_array(tmp_path / "c.png", by_255.astype(bool))), by_255)


def test_masks_with_colour_channels_count_once_and_alpha_not_at_all(tmp_path):
    grey = np.zeros((4, 4), dtype=np.uint8)
    grey[0] = 255
    rgba = np.dstack([grey, grey, grey, np.full_like(grey, 128)])
    assert np.array_equal(read_mask(save_array(tmp_path / "a.png", rgba)), grey // 255)
    rgba[0, 0, 1] = 7
    with pytest.raises(UserError, match=r"b\.png' has colours"):
        read_mask(save_array(tmp_path / "b.png", rgba))


def test_unexpected_mask_values_are_named(tmp_path):
    with pytest.raises(UserError, match=r"soft\.png' has unexpected values 0, 128: expected 0 and 255, or 0 and 1"):
        read_mask(save_mask(tmp_path / "soft.png", foreground=128))
    assert read_mask(save_mask(tmp_path / "two.png", foreground=2), classes=3).max() == 2
    with pytest.raises(UserError, match="expected 0 to 2"):
        read_mask(save_mask(tmp_path / "three.png", foreground=3), classes=3)


def test_reader_joins_masks_and_checks_their_size(tmp_path):
    image = str(save_image(tmp_path / "i.png"))
    left = str(save_mask(tmp_path / "l.png", side=2))
    values = np.zeros((8, 8), dtype=np.uint8)
    values[6:] = 255
    low = str(save_array(tmp_path / "r.png", values))
    pixels, mask = FileReader((image,), ((left, low),))(0)
    assert pixels.shape == (8, 8, 3)
    assert mask is not None
    assert mask.sum() == 4 + 16
    other = str(save_mask(tmp_path / "small.png", size=(4, 8)))
    with pytest.raises(UserError, match=r"small\.png' is 4 x 8 pixels .* is 8 x 8"):
        FileReader((image,), ((other,),))(0)


def test_no_real_image_is_refused(real_data: Path):
    for name in ("HAM10000/HAM10000_images_part_1", "CRCHistoPhenotypes/patch_images"):
        for file in sorted((real_data / name).iterdir())[:20]:
            assert read_image(file).shape[2] == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (bytes(4096), "nothing but zeros"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"/annex/objects/SHA256E-s1--a.png\n", "git annex get"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "in the format HEIC"),
        (b"%PDF-1.4", "it is a PDF"),
    ],
)
@pytest.mark.parametrize("ending", ["jpg", "dcm", "nii.gz"])
def test_files_that_are_no_images_are_told_by_what_they_are(tmp_path, content, message, ending):
    file = tmp_path / f"a.{ending}"
    file.write_bytes(content)
    with pytest.raises(UserError, match=rf"is damaged or no image: .*{message}"):
        read_image(file)


@pytest.mark.parametrize("white", [1023, 4095, 65535])
def test_the_white_that_a_portable_graymap_names_is_white(tmp_path, white):
    values = np.array([[0, white // 3], [white // 2, white]], dtype=">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 2 2 %d\n" % white + values.tobytes())
    wanted = (values.astype(np.float64) * 65535 / white + 0.5).astype(np.uint16) // 256
    np.testing.assert_array_equal(read_image(tmp_path / "a.pgm")[..., 0], wanted)
