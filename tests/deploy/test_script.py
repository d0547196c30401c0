"""The bundle's own script does with images what the package does, to the bit, or refuses them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from preceptor.data.images import read_image
from preceptor.deploy import script
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


@pytest.mark.parametrize("name", KINDS)
def test_every_image_is_read_to_the_same_bits_or_refused(name, tmp_path):
    KINDS[name](tmp_path / name)
    try:
        expected = read_image(tmp_path / name)
    except UserError:
        with pytest.raises((ValueError, OSError)):
            script.read(tmp_path / name)
        return
    try:
        found = script.read(tmp_path / name)
    except (ValueError, OSError):
        assert name in ("deep rgb.tif",), "only what Pillow does not know may be refused alone"
        return
    np.testing.assert_array_equal(found, expected)


sides = st.integers(1, 40)
rules = st.sampled_from(["squash", "crop", "pad", "tile"])


@settings(max_examples=300, deadline=None)
@given(st.tuples(sides, sides), st.tuples(sides, sides), st.booleans(), rules)
def test_pieces_and_masks_are_the_packages_to_the_bit(found, wanted, square, rule):
    """Logits that are the green channel lead to the same mask at the image's own size."""
    wanted = (wanted[0], wanted[0]) if square or rule == "tile" else wanted
    tile = TileSpec(size=wanted[0], overlap=wanted[0] // 3) if rule == "tile" else None
    contract = Contract(
        task="segmentation",
        classes=("a", "b"),
        image_size=wanted,
        resize="squash" if tile else rule,
        fill=(10, 200, 30) if rule == "pad" else None,
        tile=tile,
    )
    image = np.random.default_rng(found[0] * 100 + found[1]).integers(0, 256, (*found, 3), dtype=np.uint8)
    how = contract.to_json()
    expected, places = pieces_of("image", image, contract), script.pieces(image, how)
    assert [(y, x) for y, x, _ in places] == list(expected.corners)
    for own, (_, _, pixels) in zip(expected.pixels, places, strict=True):
        np.testing.assert_array_equal(pixels, own)
    logits = [own[None, ..., 1].astype(np.float32) - 128 for own in expected.pixels]
    mask = mask_of_image(decided(whole_logits(logits, expected, contract)), expected, contract)
    np.testing.assert_array_equal(script.mask_of(np.stack(logits), places, found, how), mask)


def test_it_is_short_and_needs_nothing_else():
    lines = Path(script.__file__).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
    others = {"argparse", "csv", "hashlib", "json", "os", "sys", "pathlib", "typing"}
    assert imported - others == {"numpy", "PIL", "onnxruntime"}
