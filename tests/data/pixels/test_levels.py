"""What becomes of values: nothing is lost without a word, and a range is of a whole set."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from preceptor.data.images import FileReader, read_image
from preceptor.data.inspect import inspect
from preceptor.data.packed import PackedSet
from preceptor.data.pixels import PixelRules, StoredImage, to_pixels
from preceptor.data.sources import open_source
from preceptor.data.store import pack
from preceptor.errors import UserError
from preceptor.specs import DataSpec, TileSpec


def grey(*values, dtype=np.uint16, white=65535, **more):
    return StoredImage(values=np.array(values, dtype)[None, :, None], white=white, **more)


def levels(stored, found=None, **rules):
    pixels = to_pixels(stored, "a.tif", PixelRules(channels=1, **rules), found)
    return pixels.dtype.itemsize * 8, pixels.ravel().tolist()


@pytest.mark.parametrize(
    ("stored", "rules", "wanted"),
    [
        (grey(0, 255, 256, 65535), {}, (8, [0, 0, 1, 255])),
        (grey(0, 255, 256, 65535), {"depth": 16}, (16, [0, 255, 256, 65535])),
        (grey(0, 15, 16, 4095), {"bits": 12}, (8, [0, 0, 1, 255])),
        (grey(0, 1, 4095), {"bits": 12, "depth": 16}, (16, [0, 16, 65535])),  # 65535 / 4095 = 16.004
        (grey(100, 200, 300, 400), {"range": (200, 300)}, (8, [0, 0, 255, 255])),
        (grey(200, 240, 300), {"range": (200, 300)}, (8, [0, 102, 255])),
        (grey(0, 128, 255, dtype=np.uint8, white=255), {"depth": 16}, (16, [0, 128 * 257, 65535])),
        (grey(0, 5, 15, dtype=np.uint8, white=15), {}, (8, [0, 85, 255])),
        (grey(0, 1, dtype=np.uint8, white=1), {}, (8, [0, 255])),
        (grey(0, 0.5, 1, dtype=np.float32, white=None), {}, (8, [0, 128, 255])),
        (grey(-128, 0, 127, dtype=np.int8, white=None), {"range": (-128, 127)}, (8, [0, 128, 255])),
        (grey(-1000, 400, dtype=np.int16, white=None), {"range": (-160, 240)}, (8, [0, 255])),
        (grey(0, 256, 65535, is_inverted=True), {}, (8, [255, 254, 0])),
        (grey(0, 4095, is_inverted=True), {"bits": 12}, (8, [255, 0])),
        (grey(0, 50, 100, window=(0, 100)), {}, (8, [0, 128, 255])),
        (grey(0, 50, 100, window=(0, 100)), {"range": (0, 50)}, (8, [0, 255, 255])),
    ],
)
def test_values_become_levels_by_hand(stored, rules, wanted):
    assert levels(stored, **rules) == wanted


@pytest.mark.parametrize(
    ("stored", "rules", "message"),
    [
        (grey(-1, 1, dtype=np.int16, white=None), {}, r"int16 values, -1 to 1.*\n?.*data\.options\.range"),
        (grey(0, 9, dtype=np.uint32, white=None), {}, "uint32 values, 0 to 9"),
        (grey(0, 4096), {"bits": 12}, "values from 0 to 4096: data.options.bits=12 says that they lie in 0 to 4095"),
        (grey(0, 9, dtype=np.uint8, white=255), {"bits": 12}, "has 8 bits: data.options.bits says 12"),
        (grey(0, 200.0, dtype=np.float32, white=None), {}, r"floats must lie in 0 to 1;\n.*range"),
    ],
)
def test_values_without_a_known_range_say_what_to_set(stored, rules, message):
    with pytest.raises(UserError, match=message):
        levels(stored, **rules)


@pytest.mark.parametrize(
    "wrong",
    [
        {"range": (1, 1)},
        {"range": (0, 1), "bits": 8},
        {"percentiles": (50, 101)},
        {"stack": 2},
        {"stack": 3, "channels": 1},
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=r"wanted|one of them|below white|slices"):
        PixelRules(**wrong)


def test_channels_that_are_wanted_and_those_that_are_there():
    rgb = StoredImage(values=np.array([[[10, 20, 30]]], np.uint8), white=255, colours=3)
    assert to_pixels(rgb, "a", PixelRules(channels=1)).tolist() == [[[18]]]  # 2.99 + 11.74 + 3.42
    four = StoredImage(values=np.array([[[1, 2, 3, 4]]], np.uint8), white=255, colours=1)
    assert to_pixels(four, "a", PixelRules(channels=4)).tolist() == [[[1, 2, 3, 4]]]
    rgba = StoredImage(values=np.array([[[10, 20, 30, 0]]], np.uint8), white=255, colours=3, alpha=3)
    assert to_pixels(rgba, "a", PixelRules(channels=4)).tolist() == [[[10, 20, 30, 0]]]
    assert to_pixels(rgba, "a", PixelRules(channels=1)).tolist() == [[[255]]]
    with pytest.raises(
        UserError, match=r"4 channels, none of which is known to be opacity: 3 were expected.*channels=4"
    ):
        to_pixels(four, "a")


def scans(root, high=4095, count=12):
    """Two classes of 12-bit scans in 16-bit files."""
    for number in range(count):
        values = np.linspace(100, high, 64).astype(np.uint16).reshape(8, 8) - number
        file = root / ("normal" if number % 2 else "tumour") / f"{number}.tif"
        file.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(file, values)
    return root


def packed(root, options=None, **spec) -> PackedSet:
    data = DataSpec(source="folder", path=str(root), options=options or {}, image_size=8, **spec)
    table = open_source("folder", str(root), data.options, data)
    return pack(table, size=data.size, tile=data.tile, folder=root.parent / "cache", note=lambda line: None)


def test_twelve_bits_in_sixteen_are_not_packed_as_black(tmp_path):
    root = scans(tmp_path / "a")
    with pytest.raises(UserError, match=r"no value in them is above 4095: .* 16 of 256 levels.*\n.*options\.bits=12"):
        packed(root)
    found = inspect(str(root))
    assert found.suggested == {"bits": 12}
    assert "12 images of 1 channel hold uint16 values from 89 to 4095" in found.stored
    assert packed(root, {"bits": 12}).images[0].max() == 255
    assert inspect(str(root), options={"bits": 12}).suggested == {}


def test_sixteen_bits_are_kept_where_wanted(tmp_path):
    root = scans(tmp_path / "a", high=60000)
    eight, sixteen = packed(root), packed(root, depth=16)
    assert eight.fingerprint != sixteen.fingerprint
    assert (eight.depth, sixteen.depth) == (8, 16)
    assert any("8 bits of each value are kept" in note for note in eight.notes)
    assert len(np.unique(sixteen.images[0])) == 64
    assert np.array_equal(sixteen.images[0] >> 8, eight.images[0])
    again = packed(root, depth=16)
    assert again.folder == sixteen.folder


def test_percentiles_are_of_the_set_and_remembered(tmp_path):
    root = scans(tmp_path / "a", count=4)
    made = packed(root, {"percentiles": [1, 99]})
    every = np.concatenate([tifffile.imread(file).ravel() for file in sorted(root.rglob("*.tif"))])
    low, high = np.percentile(every, [1, 99])
    assert made.levels["range"] == [low, high]
    one = FileReader((str(root / "tumour" / "0.tif"),), rules=PixelRules(range=(low, high)))(0)[0]
    assert np.array_equal(one, made.images[made.frame["id"].tolist().index("tumour/0")])


def test_options_on_pixels_are_checked_and_belong_to_files(tmp_path):
    scans(tmp_path / "a")
    with pytest.raises(UserError, match="option bits is 40"):
        open_source("folder", str(tmp_path / "a"), {"bits": 40})
    with pytest.raises(UserError, match=r"'phantom' has no option 'bits': its images are no files"):
        open_source("phantom", None, {"bits": 12})
    assert open_source("phantom", None, {}, DataSpec(source="phantom", channels=1, depth=16)).read(0)[0].shape[2] == 1


def test_larger_than_is_read_at_once_comes_in_tiles(tmp_path, monkeypatch):
    """The limit is lowered to a thousand pixels."""
    from preceptor.data.pixels import pillow, reading, tiff

    values = np.random.default_rng(0).integers(0, 256, (2, 70, 50, 3), dtype=np.uint8)
    (tmp_path / "a" / "x").mkdir(parents=True)
    (tmp_path / "a" / "y").mkdir()
    tifffile.imwrite(tmp_path / "a" / "x" / "0.tif", values[0], photometric="rgb", compression="zlib", tile=(16, 16))
    Image.fromarray(values[1]).save(tmp_path / "a" / "y" / "1.png")
    whole = packed(tmp_path / "a", tile=TileSpec(size=32))
    for module in (pillow, reading, tiff):
        monkeypatch.setattr(module, "MOST_PIXELS", 1000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    (tmp_path / "b").mkdir()
    (tmp_path / "a").rename(tmp_path / "b" / "a")
    in_tiles = packed(tmp_path / "b" / "a", tile=TileSpec(size=32))
    assert np.array_equal(whole.images[:], in_tiles.images[:])
    assert len(whole) == 2 * 3 * 2
    for name in ("x/0.tif", "y/1.png"):
        with pytest.raises(UserError, match=r"too large to decode at once.*data\.tile"):
            read_image(tmp_path / "b" / "a" / name)


def test_a_set_of_a_version_that_read_files_otherwise_is_made_anew(tmp_path, monkeypatch):
    from preceptor.data import store

    root = scans(tmp_path / "a", high=60000)
    monkeypatch.setattr(store, "READING", 1)
    before = packed(root).folder.stat().st_ino
    monkeypatch.undo()
    said = []
    table = open_source("folder", str(root))
    after = pack(table, size=(8, 8), folder=tmp_path / "cache", note=said.append)
    assert after.folder.stat().st_ino != before
    assert after.reading == store.READING
    assert any("read some kinds of image files otherwise; the images are packed anew" in line for line in said)
