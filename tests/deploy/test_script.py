"""The bundle's own script does with images what the package does, to the bit, or refuses them."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from preceptor.data.images import read_image
from preceptor.data.pixels import USUAL, PixelRules
from preceptor.deploy.alone import pixels, predict
from preceptor.deploy.answers import decided
from preceptor.deploy.contract import Contract
from preceptor.deploy.pieces import mask_of_image, pieces_of, whole_logits
from preceptor.errors import UserError
from preceptor.specs import TileSpec

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (13, 17, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (13, 17), dtype=np.uint16)


def picture(mode):
    return Image.fromarray(NOISE).convert(mode)


def transparent_palette(path):
    image = picture("P")
    image.info["transparency"] = 3
    image.save(path, transparency=3)


def with_alpha(path):
    Image.fromarray(np.dstack([NOISE, NOISE[..., :1]])).save(path)


def cut_tiff(path):
    tifffile.imwrite(path, np.repeat(NOISE, 20, axis=0), rowsperstrip=8)
    path.write_bytes(path.read_bytes()[:-900])


KINDS = {
    "rgb.png": lambda path: picture("RGB").save(path),
    "rgb.jpg": lambda path: picture("RGB").save(path),
    "rgb.bmp": lambda path: picture("RGB").save(path),
    "rgb.webp": lambda path: picture("RGB").save(path, lossless=True),
    "grey.png": lambda path: picture("L").save(path),
    "two.png": lambda path: picture("1").save(path),
    "palette.png": lambda path: picture("P").save(path),
    "transparent palette.png": transparent_palette,
    "transparent grey.png": lambda path: picture("L").save(path, transparency=7),
    "transparent rgb.png": lambda path: picture("RGB").save(path, transparency=(1, 2, 3)),
    "alpha.png": with_alpha,
    "grey alpha.png": lambda path: picture("LA").save(path),
    "cmyk.jpg": lambda path: picture("CMYK").save(path),
    "cmyk.tif": lambda path: picture("CMYK").save(path),
    "lab.tif": lambda path: picture("LAB").save(path),
    "deep.png": lambda path: Image.fromarray(DEEP).save(path),
    "deep.tif": lambda path: tifffile.imwrite(path, DEEP),
    "deep rgb.tif": lambda path: tifffile.imwrite(path, np.dstack([DEEP] * 3), photometric="rgb"),
    "float.tif": lambda path: tifffile.imwrite(path, (DEEP / 65535).astype(np.float32)),
    "wide float.tif": lambda path: tifffile.imwrite(path, DEEP.astype(np.float32)),
    "nan.tif": lambda path: tifffile.imwrite(path, np.full((4, 4), np.nan, dtype=np.float32)),
    "whole.tif": lambda path: tifffile.imwrite(path, DEEP.astype(np.int32)),
    "tiled.tif": lambda path: tifffile.imwrite(path, np.repeat(NOISE, 5, axis=0), tile=(32, 16)),
    "planar.tif": lambda path: tifffile.imwrite(
        path, NOISE.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"
    ),
    "pages.tif": lambda path: tifffile.imwrite(path, np.stack([NOISE] * 2)),
    "cut.tif": cut_tiff,
    "film.gif": lambda path: picture("P").save(path, save_all=True, append_images=[picture("P").rotate(90)]),
    "empty.png": lambda path: path.write_bytes(b""),
    "text.png": lambda path: path.write_text("no image"),
    "dot.png": lambda path: Image.new("RGB", (1, 1), (1, 2, 3)).save(path),
}


def turned(path):
    exif = Image.Exif()
    exif[274] = 6
    picture("RGB").save(path, exif=exif)


def chunk(name, content):
    """A part of a PNG file."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def deep_colours(path):
    """A PNG of 16 bits and colours, chunk by chunk: Pillow writes none."""
    height, width = 6, 5
    rows = b"".join(b"\0" + RNG.integers(0, 256, width * 6, dtype=np.uint8).tobytes() for _ in range(height))

    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


KINDS |= {
    "turned.jpg": turned,
    "turned.png": turned,
    "turned.tif": lambda path: tifffile.imwrite(path, NOISE, extratags=[(274, "H", 1, 6, True)]),
    "deep colours.png": deep_colours,
    "twelve bits.png": lambda path: Image.fromarray(DEEP // 16).save(path),
    "white is zero.tif": lambda path: tifffile.imwrite(path, DEEP, photometric="miniswhite"),
    "white is zero 8.tif": lambda path: tifffile.imwrite(path, NOISE[..., 0], photometric="miniswhite"),
    "multiplied.tif": lambda path: tifffile.imwrite(
        path, np.dstack([NOISE // 2, NOISE[..., :1]]), photometric="rgb", extrasamples=["assocalpha"]
    ),
    "alpha.tif": lambda path: tifffile.imwrite(
        path, np.dstack([NOISE, NOISE[..., :1]]), photometric="rgb", extrasamples=["unassalpha"]
    ),
    "unspecified.tif": lambda path: tifffile.imwrite(
        path, np.dstack([NOISE, NOISE[..., :1]]), photometric="rgb", extrasamples=["unspecified"]
    ),
    "four bits.png": lambda path: Image.fromarray(NOISE[..., 0] // 16 * 17).save(path, bits=4),
    "signed.tif": lambda path: tifffile.imwrite(path, DEEP.astype(np.int16)),
    "grey.jpg": lambda path: picture("L").save(path),
    "lossless.jp2": lambda path: picture("RGB").save(path, irreversible=False),
    "still.gif": lambda path: picture("P").save(path),
    "plain.ppm": lambda path: picture("RGB").save(path),
}
RULES = {
    "usual": USUAL,
    "one channel": PixelRules(channels=1),
    "16 bits": PixelRules(depth=16),
    "12 bits in use": PixelRules(channels=1, bits=12),
    "12 bits in 16": PixelRules(bits=12, depth=16),
    "a range": PixelRules(range=(100.5, 30000)),
    "as stored": PixelRules(orientation="stored"),
}
REFUSED_ALONE = {
    "deep rgb.tif", "deep colours.png", "white is zero.tif", "multiplied.tif", "unspecified.tif", "four bits.png",
    "signed.tif", "turned.tif", "whole.tif", "planar.tif", "two.png",
}  # fmt: skip
"""What Pillow does not read as the package does, under some rules or under all."""


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("name", KINDS)
def test_every_image_is_read_to_the_same_bits_or_refused(name, rules, tmp_path):
    KINDS[name](tmp_path / name)
    how = Contract(task="classification", classes=("a", "b"), image_size=(8, 8), reading=RULES[rules]).to_json()
    try:
        expected = read_image(tmp_path / name, RULES[rules])
    except UserError:
        with pytest.raises((ValueError, OSError)):
            pixels.read(tmp_path / name, how["reading"])
        return
    try:
        found = pixels.read(tmp_path / name, how["reading"])
    except (ValueError, OSError):
        assert name in REFUSED_ALONE
        return
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["a.dcm", "a.nii.gz", "deep colours.png"])
def test_what_pillow_cannot_read_right_is_refused_with_the_reason(name, tmp_path):
    deep_colours(tmp_path / name)
    with pytest.raises(ValueError, match="Pillow"):
        pixels.read(tmp_path / name, USUAL.model_dump(mode="json"))


sides = st.integers(1, 40)
rules = st.sampled_from(["squash", "crop", "pad", "tile"])
kinds = st.sampled_from([(np.uint8, 3), (np.uint8, 1), (np.uint16, 3), (np.uint16, 1)])


@settings(max_examples=300, deadline=None)
@given(st.tuples(sides, sides), st.tuples(sides, sides), st.booleans(), rules, kinds)
def test_pieces_and_masks_are_the_packages_to_the_bit(found, wanted, square, rule, kind):
    """Logits that are the last channel lead to the same mask at the image's own size."""
    wanted = (wanted[0], wanted[0]) if square or rule == "tile" else wanted
    tile = TileSpec(size=wanted[0], overlap=wanted[0] // 3) if rule == "tile" else None
    contract = Contract(
        task="segmentation",
        classes=("a", "b"),
        image_size=wanted,
        resize="squash" if tile else rule,
        fill=(10, 200, 30)[: kind[1]] if rule == "pad" else None,
        tile=tile,
        reading=PixelRules(channels=kind[1], depth=8 if kind[0] == np.uint8 else 16),
    )
    image = np.random.default_rng(found[0] * 100 + found[1]).integers(
        0, 256 if kind[0] == np.uint8 else 65536, (*found, kind[1]), dtype=kind[0]
    )
    how = contract.to_json()
    expected, places = pieces_of("image", image, contract), pixels.pieces(image, how)
    assert [(y, x) for y, x, _ in places] == list(expected.corners)
    for own, (_, _, given_alone) in zip(expected.pixels, places, strict=True):
        np.testing.assert_array_equal(given_alone, own)
    logits = [own[None, ..., -1].astype(np.float32) - np.iinfo(kind[0]).max // 2 for own in expected.pixels]
    mask = mask_of_image(decided(whole_logits(logits, expected, contract)), expected, contract)
    np.testing.assert_array_equal(predict.mask_of(np.stack(logits), places, found, how), mask)


def test_it_is_short_and_needs_nothing_else():
    for module in (predict, pixels):
        lines = Path(module.__file__).read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 150
        imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
        others = {"argparse", "csv", "hashlib", "io", "json", "os", "sys", "pathlib", "typing", "pixels"}
        assert imported - others <= {"numpy", "PIL", "onnxruntime"}
