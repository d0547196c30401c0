"""What the pixels of masks mean: by options, or guessed and said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from numpy.typing import NDArray
from PIL import Image

from preceptor.data.decoded import read_row, seen_in
from preceptor.data.samples import SampleTable
from preceptor.data.sources import open_source
from preceptor.errors import UserError
from preceptor.specs import IGNORED

SQUARE = np.zeros((16, 16), dtype=np.uint8)
SQUARE[4:8, 4:10] = 1
OTHER = np.zeros((16, 16), dtype=np.uint8)
OTHER[9:12, 2:9] = 1
Values = NDArray[Any]


def write_mask(path: Path, values: Values | Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(values, Image.Image):
        values.save(path)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, values)
    else:
        Image.fromarray(values).save(path)


def table_of(root: Path, *masks: Values | Image.Image, ending: str = ".png", **options: Any) -> SampleTable:
    """A folder of images and masks."""
    for number, mask in enumerate(masks):
        size = mask.size[::-1] if isinstance(mask, Image.Image) else mask.shape[:2]
        pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
        write_mask(root / "images" / f"i{number}.png", pixels)
        write_mask(root / "masks" / f"i{number}{ending}", mask)
    return open_source("folder", str(root), options)


def read(table: SampleTable) -> list[Values]:
    found = [read_row(table, row)[1] for row in range(len(table))]
    assert all(mask is not None for mask in found)
    return [mask for mask in found if mask is not None]


def said(table: SampleTable) -> str:
    return " ".join(seen_in(table)[0])


def with_palette(colours: list[tuple[int, int, int]], numbers: Values) -> Image.Image:
    image = Image.fromarray(numbers, mode="L").convert("P")
    image.putdata(numbers.ravel().tolist())
    image.putpalette([value for colour in colours for value in colour])
    return image


def in_colour(colour: tuple[int, int, int], where: Values) -> Values:
    return (where[..., None] * np.array(colour)).astype(np.uint8)


USUAL = {
    "0 and 1": (SQUARE, OTHER),
    "0 and 255": (SQUARE * 255, OTHER * 255),
    "some 1, some 255": (SQUARE, OTHER * 255),
    "nothing in one": (SQUARE * 255, OTHER * 0),
}


@pytest.mark.parametrize("masks", USUAL.values(), ids=USUAL)
def test_usual_masks_are_read_without_a_word(tmp_path: Path, masks: tuple[Values, Values]) -> None:
    table = table_of(tmp_path, *masks)
    for mask, found in zip(masks, read(table), strict=True):
        assert np.array_equal(found, mask > 0)
    assert not said(table)


GUESSED: dict[str, tuple[Any, str, str]] = {
    "another value": (lambda where: where * 128, ".png", "masks hold 0 and 128: 128 is foreground"),
    "floats": (lambda where: (where * 200.0).astype(np.float32), ".tif", "0 and 200"),
    "a colour": (lambda where: in_colour((255, 0, 0), where), ".png", "[255, 0, 0] (red, green, blue)"),
    "white first in the palette": (
        lambda where: with_palette([(255, 255, 255), (0, 0, 0)], 1 - where),
        ".png",
        "white is foreground, whatever its number",
    ),
    "a palette with colours": (
        lambda where: with_palette([(0, 0, 0), (128, 0, 0)], where),
        ".png",
        "the number of a colour",
    ),
    "alpha": (
        lambda where: np.dstack([np.zeros((16, 16, 3), dtype=np.uint8), where * 255]),
        ".png",
        "differ in their alpha channel",
    ),
}


@pytest.mark.parametrize(("make", "ending", "words"), GUESSED.values(), ids=GUESSED)
def test_what_is_guessed_is_right_and_said(tmp_path: Path, make: Any, ending: str, words: str) -> None:
    table = table_of(tmp_path, make(SQUARE), make(OTHER), ending=ending)
    for mask, found in zip((SQUARE, OTHER), read(table), strict=True):
        assert np.array_equal(found, mask)
    assert words in said(table)


def test_black_and_white_with_a_trace_of_colour_are_grey(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 6, (16, 16, 3))
    masks = [np.abs(mask[..., None] * 255 - noise).astype(np.uint8) for mask in (SQUARE, OTHER)]
    table = table_of(tmp_path, *masks)
    for mask, found in zip((SQUARE, OTHER), read(table), strict=True):
        assert np.array_equal(found, mask)
    assert "from 127.5 on is foreground" in said(table)


def test_small_differences_between_dark_colours_are_kept(tmp_path: Path) -> None:
    table = table_of(tmp_path, in_colour((1, 0, 0), SQUARE) + in_colour((0, 1, 0), OTHER))
    with pytest.raises(UserError, match=r"class1: \[0, 1, 0\], class2: \[1, 0, 0\]"):
        read(table)


def test_colours_of_jpeg_are_the_nearest_of_the_table(tmp_path: Path) -> None:
    colours = {"background": (0, 0, 0), "gland": (255, 0, 0), "vessel": (0, 0, 255), "ignore": (0, 255, 0)}
    numbers = np.kron(SQUARE + 2 * OTHER, np.ones((8, 8), dtype=np.uint8))
    numbers[:16, -16:] = 3
    drawn = np.array(list(colours.values()), dtype=np.uint8)[numbers]
    table = table_of(tmp_path, drawn, drawn.swapaxes(0, 1).copy(), ending=".jpg", mask_colours=colours)
    wanted = np.where(numbers == 3, IGNORED, numbers)
    edges = np.zeros(numbers.shape, dtype=bool)
    for side in (0, 1):
        edges |= np.abs(np.diff(numbers.astype(int), axis=side, append=0)) > 0
    inner = ~(edges | np.roll(edges, 1, 0) | np.roll(edges, 1, 1) | np.roll(edges, 2, 0) | np.roll(edges, 2, 1))
    assert (read(table)[0] == wanted)[inner].all()
    assert (read(table)[0] == wanted).mean() > 0.97
    assert "each pixel is the class of the nearest of mask_colours" in said(table)
    other = {"background": (255, 255, 255), "gland": (0, 255, 255)}
    with pytest.raises(UserError, match=r"of its pixels are near no colour of data\.options\.mask_colours"):
        read(table_of(tmp_path / "b", drawn, ending=".jpg", mask_colours=other))


def test_objects_may_each_have_a_colour(tmp_path: Path) -> None:
    numbers = np.arange(256).reshape(16, 16)
    colours = np.stack([numbers, 255 - numbers, numbers // 2], axis=2).astype(np.uint8) * SQUARE[..., None]
    with pytest.raises(UserError, match=r"set data\.options\.mask_values=objects"):
        read(table_of(tmp_path, colours, np.roll(colours, (4, 4), axis=(0, 1)) // 2))
    table = table_of(tmp_path, colours, colours, mask_values="objects")
    assert np.array_equal(read(table)[0], SQUARE)


@pytest.mark.parametrize("blur", ["jpeg", "resized"])
def test_grey_edges_are_cut_in_the_middle(tmp_path: Path, blur: str) -> None:
    large = np.roll(np.kron(SQUARE, np.ones((8, 8), dtype=np.uint8)) * np.uint8(255), (3, 5), axis=(0, 1))
    if blur == "jpeg":
        table = table_of(tmp_path, large, large.T.copy(), ending=".jpg")
        wanted = large > 0
    else:
        soft = np.asarray(Image.fromarray(large).resize((96, 96), Image.Resampling.BILINEAR))
        table = table_of(tmp_path, soft, soft.T.copy())
        wanted = soft >= 128
    assert np.array_equal(read(table)[0], wanted)
    assert "as JPEG and resizing leave them: from 127.5 on is foreground" in said(table)


def test_many_objects_are_foreground(tmp_path: Path) -> None:
    objects = np.zeros((64, 64), dtype=np.uint16)
    for number in range(49):
        row, column = divmod(number, 7)
        objects[9 * row : 9 * row + 6, 9 * column : 9 * column + 6] = number + 1
    table = table_of(tmp_path, objects, objects.T.copy(), ending=".tif")
    assert np.array_equal(read(table)[0], objects > 0)
    assert "numbers of objects, every value above 0 is foreground" in said(table)


AMBIGUOUS = {
    "objects or classes": ((SQUARE, OTHER * 3), ["data.options.classes=", "mask_values=objects"]),
    "0 and 2": ((SQUARE * 2, OTHER * 2), [r"data.options.mask_values=\[0, 2\]"]),
    "255 beside classes": ((SQUARE + np.uint8(255) * OTHER,), ["data.options.mask_ignore=255"]),
    "classes beside 255": ((SQUARE * 2 + np.uint8(255) * OTHER, OTHER), ["mask_ignore=255", "classes="]),
    "two colours": (
        (in_colour((255, 0, 0), SQUARE), in_colour((0, 255, 0), OTHER)),
        [r"mask_colours={background: \[0, 0, 0\], class1: \[0, 255, 0\], class2: \[255, 0, 0\]}"],
    ),
    "three greys": ((SQUARE * 127 + OTHER * 255,), [r"data.options.mask_values=\[0, 127, 255\]", "threshold=128"]),
    "colours of JPEG": (
        (np.random.default_rng(0).integers(0, 9, (16, 16, 3), dtype=np.uint8),),
        [
            "217 colours are more than classes",
            "JPEG and smoothing make such colours, too: save smoothed masks anew as PNG",
            "of JPEG the nearest colour counts",
        ],
    ),
    "a picture": ((np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8),), ["unexpected values"]),
}


def test_a_threshold_of_probabilities_lies_between_0_and_1(tmp_path: Path) -> None:
    table = table_of(tmp_path, np.random.default_rng(0).random((16, 16), dtype=np.float32), ending=".tif")
    with pytest.raises(UserError, match=r"set data\.options\.mask_threshold=0\.5"):
        read(table)


@pytest.mark.parametrize(("masks", "words"), AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_may_mean_several_things_is_refused_with_the_options(
    tmp_path: Path, masks: tuple[Values, ...], words: list[str]
) -> None:
    table = table_of(tmp_path, *masks)
    for word in words:
        with pytest.raises(UserError, match=word):
            read(table)


def test_the_option_on_colours_can_be_pasted(tmp_path: Path) -> None:
    masks = in_colour((255, 0, 0), SQUARE), in_colour((0, 255, 0), OTHER)
    with pytest.raises(UserError) as refused:
        read(table_of(tmp_path / "first", *masks))
    option = str(refused.value).rpartition("mask_colours=")[2]
    found = read(table_of(tmp_path / "second", *masks, mask_colours=yaml.safe_load(option)))
    assert np.array_equal(found[0], SQUARE * 2)
    assert np.array_equal(found[1], OTHER)


COLOURS = {"background": [0, 0, 0], "gland": [255, 0, 0], "vessel": [0, 0, 255], "ignore": [255, 255, 255]}
CLASSES = ["background", "gland", "vessel"]
LABELS = SQUARE + 2 * OTHER
MARKED = LABELS.copy()
MARKED[13:, 13:] = IGNORED
OPTIONS: dict[str, tuple[Values | Image.Image, Values, dict[str, Any]]] = {
    "classes": (LABELS, LABELS, {"classes": CLASSES}),
    "classes in a palette": (
        with_palette([(0, 0, 0), (255, 255, 255), (255, 0, 0)], LABELS), LABELS, {"classes": CLASSES},
    ),
    "values of classes": (LABELS * 100, LABELS, {"classes": CLASSES, "mask_values": [0, 100, 200]}),
    "two values": (SQUARE * 2, SQUARE, {"mask_values": [0, 2]}),
    "black is foreground": (255 - SQUARE * 255, SQUARE, {"mask_values": [255, 0]}),
    "objects": (LABELS, (LABELS > 0).astype(np.uint8), {"mask_values": "objects"}),
    "threshold": (LABELS * 100, (LABELS == 2).astype(np.uint8), {"mask_threshold": 150}),
    "alpha": (
        np.dstack([np.full((16, 16, 3), 7, dtype=np.uint8) * OTHER[..., None], SQUARE * 255]),
        SQUARE,
        {"mask_channel": "alpha"},
    ),
    "ignored": (MARKED, MARKED, {"classes": CLASSES, "mask_ignore": 255}),
    "ignored, of two classes": (SQUARE + 2 * OTHER, SQUARE + IGNORED * OTHER, {"mask_ignore": 2}),
    "ignored, and objects": (
        SQUARE * 7 + 9 * OTHER, SQUARE + IGNORED * OTHER, {"mask_ignore": [9], "mask_values": "objects"},
    ),
    "colours": (
        np.array([*COLOURS.values()], dtype=np.uint8)[np.where(MARKED == IGNORED, 3, MARKED)],
        MARKED,
        {"mask_colours": COLOURS},
    ),
    "colours of a palette": (
        with_palette([(0, 0, 255), (255, 0, 0), (0, 0, 0)], 2 - LABELS), np.where(LABELS == 0, 0, LABELS),
        {"mask_colours": {**COLOURS}},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("stored", "wanted", "options"), OPTIONS.values(), ids=OPTIONS)
def test_options_say_what_pixels_mean(
    tmp_path: Path, stored: Values | Image.Image, wanted: Values, options: dict[str, Any]
) -> None:
    table = table_of(tmp_path, stored, **options)
    assert np.array_equal(read(table)[0], wanted)
    assert table.ignores == ("mask_ignore" in options or "mask_colours" in options)
    assert not said(table)


def test_colours_name_the_classes_and_follow_the_option_classes(tmp_path: Path) -> None:
    stored = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], dtype=np.uint8)[LABELS]
    assert table_of(tmp_path, stored, mask_colours=COLOURS).classes == tuple(CLASSES)
    swapped = open_source(
        "folder", str(tmp_path), {"mask_colours": COLOURS, "classes": ["background", "vessel", "gland"]}
    )
    assert swapped.classes == ("background", "vessel", "gland")
    assert np.array_equal(read(swapped)[0], np.array([0, 2, 1])[LABELS])


WRONG = [
    ({"mask_values": "cells"}, "mask_values"),
    ({"mask_values": [0, 1, 2]}, "3 values for 2 classes"),
    ({"mask_values": [0, 1], "mask_threshold": 3}, "each say what pixels mean"),
    ({"mask_values": [0, 255], "mask_ignore": 255}, "a value stands twice"),
    ({"mask_colours": {"background": [0, 0, 0]}}, "two or more classes"),
    ({"mask_colours": {"a": [0, 0, 0], "b": [0, 0, 0]}}, "two classes have one colour"),
    ({"mask_colours": {"a": [0, 0, 0], "b": [0, 0, 300]}}, "mask_colours"),
    ({"mask_colours": COLOURS, "mask_ignore": 3}, "that of the class `ignore`"),
    ({"mask_colours": COLOURS, "classes": ["background", "x", "y"]}, "name the same"),
    ({"mask_threshold": 3, "classes": CLASSES}, "tells background from foreground"),
    ({"mask_channel": "green"}, "mask_channel"),
    ({"classes": [f"c{number}" for number in range(300)]}, "at most 255 classes"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=str)
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        table_of(tmp_path, SQUARE, **options)


def test_options_on_masks_want_masks_in_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no option 'mask_ignore': it has no masks in files"):
        open_source("phantom", None, {"task": "segmentation", "mask_ignore": 3})


@pytest.mark.parametrize(
    ("stored", "options", "message"),
    [
        (LABELS, {"mask_values": [0, 1]}, "unexpected values 0, 1, 2: expected 0, 1"),
        (SQUARE, {"mask_channel": "alpha"}, "no alpha channel"),
        (in_colour((9, 9, 8), SQUARE), {"mask_colours": COLOURS}, r"24 pixels of colours that are no class: \[9, 9"),
        (in_colour((9, 9, 8), SQUARE), {"classes": CLASSES}, "has colours"),
        (LABELS * 2, {"classes": CLASSES}, r"data.options.mask_values=\[0, 2, 4\]"),
    ],
    ids=str,
)  # fmt: skip
def test_pixels_that_mean_nothing_are_named(
    tmp_path: Path, stored: Values, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read(table_of(tmp_path, stored, **options))
