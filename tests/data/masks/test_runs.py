"""Masks as runs in a table."""

from pathlib import Path

import numpy as np
import pytest

from preceptor.data.decoded import read_row
from preceptor.data.inspect import inspect
from preceptor.data.masks.runs import Runs
from preceptor.data.sources import open_source, recognise
from preceptor.errors import UserError


def test_pixels_are_counted_down_the_columns_from_one() -> None:
    by_hand = [[0, 0, 1], [1, 0, 0], [1, 1, 0], [0, 1, 0]]  # 4 x 3: pixels 2 and 3, then 7 and 8, then 9
    assert Runs((("2 2 7 3",),)).mask(0, (4, 3), "a").tolist() == by_hand
    along = [[0, 1, 1], [0, 0, 0], [1, 1, 1], [0, 0, 0]]
    assert Runs((("2 2 7 3",),), "rows").mask(0, (4, 3), "a").tolist() == along


def test_texts_are_joined_and_may_be_empty() -> None:
    runs = Runs((("1 2", "4 1", ""), ("-1",)))
    assert runs.mask(0, (2, 3), "a").T.ravel().tolist() == [1, 1, 0, 1, 0, 0]
    assert not runs.mask(1, (2, 3), "a").any()
    assert runs.identity != Runs((("1 2", "4 2", ""), ("-1",))).identity


@pytest.mark.parametrize("text", ["13 1", "11 3", "0 2", "3 0"])
def test_runs_that_leave_the_image_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"mask of 'a.png': the run \d+ \d leaves the image, which is 4 x 3 pixels"):
        Runs(((f"1 1 {text}",),)).mask(0, (4, 3), "a.png")


@pytest.mark.parametrize("text", ["1 2 3", "1 x", "1,2", "1.5 2", "-3 2"])
def test_what_is_no_runs_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no list of runs: pairs of whole numbers"):
        Runs(((text,),)).mask(0, (4, 3), "a.png")


def test_a_table_gives_one_image_in_several_rows(tmp_path: Path, save_images: None) -> None:
    lines = ["ImageId,EncodedPixels", "a.png,1 2", "b.png,", "a.png,5 1", "c.png,4 1"]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    table = open_source("table", str(tmp_path), {"image": "ImageId", "rle": "EncodedPixels", "image_folder": "images"})
    assert table.task == "segmentation"
    assert table.frame["mask"].tolist()[0] == "runs of a.png in train.csv"
    masks = [read_row(table, row)[1] for row in range(3)]
    assert [None if mask is None else int(mask.sum()) for mask in masks] == [3, 0, 1]
    (tmp_path / "train.csv").write_text("\n".join([*lines[:4], "c.png,4 2"]))
    again = open_source("table", str(tmp_path), {"image": "ImageId", "rle": "EncodedPixels", "image_folder": "images"})
    assert again.identity != table.identity


LONG = "ImageId,ClassId,EncodedPixels\na.png,3,1 2\nb.png,3,\na.png,10,2 1 7 1\nc.png,,\n"
JOINED = "ImageId,EncodedPixels\na.png_3,1 2\nb.png_10,\na.png_10,2 1 7 1\nc.png_3,-1\n"
WIDE = "ImageId,cat,dog\na.png,1 2,2 1 7 1\nb.png,,\nc.png,,-1\n"
ONE = "ImageId,EncodedPixels\na.png,1 2 5 1\na.png,7 1\nb.png,-1\nc.png,\n"
BY_ROW = {"rle": "EncodedPixels", "rle_class": "ClassId"}
IN_NAMES = {"rle": "EncodedPixels", "rle_class": "ImageId"}
MASK = [1, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0]  # down the columns; a pixel of both classes is of the later one


@pytest.mark.parametrize(
    ("content", "options", "classes"),
    [
        (LONG, BY_ROW, ("background", "3", "10")),
        (JOINED, IN_NAMES, ("background", "3", "10")),
        (WIDE, {"rle": ["cat", "dog"]}, ("background", "cat", "dog")),
        (WIDE, {"rle": ["dog", "cat"], "classes": ["background", "cat", "dog"]}, ("background", "cat", "dog")),
        (
            LONG.replace("10,", "2,").replace("3,", "1,"),
            {**BY_ROW, "classes": ["none", "cat", "dog", "cow"]},
            ("none", "cat", "dog", "cow"),
        ),
    ],
)
def test_runs_of_several_classes(tmp_path: Path, save_images: None, content, options, classes) -> None:
    (tmp_path / "train.csv").write_text(content)
    table = open_source("table", str(tmp_path), {"image": "ImageId", "image_folder": "images", **options})
    assert table.classes == classes
    assert table.frame["id"].tolist() == ["a", "b", "c"]
    masks = [table.read(row)[1] for row in range(3)]
    assert masks[0].T.ravel().tolist() == MASK
    assert not masks[1].any()
    assert not masks[2].any()


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (LONG.replace(",3,", ",,"), BY_ROW, "1 rows have runs and no class, the first is line 2"),
        (LONG, {**BY_ROW, "classes": ["none", "cat", "dog"]}, "classes of the runs are 10, 3"),
        (JOINED.replace("a.png_3", "a.png"), IN_NAMES, "'a.png' in line 2 has no class behind"),
        (WIDE, {"rle": ["cat", "dog"], "rle_class": "dog"}, "rle_class is for one column"),
        (LONG, {"label": "ClassId", "rle_class": "ClassId"}, "set the option rle to their column"),
    ],
)  # fmt: skip
def test_classes_of_runs_that_cannot_be_told(tmp_path: Path, save_images: None, content, options, message) -> None:
    (tmp_path / "train.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        open_source("table", str(tmp_path), {"image": "ImageId", "image_folder": "images", **options})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (LONG, {"image": "ImageId", "image_folder": "images", "rle": "EncodedPixels", "rle_class": "ClassId"}),
        (ONE, {"image": "ImageId", "image_folder": "images", "rle": "EncodedPixels"}),
    ],
)  # fmt: skip
def test_columns_of_runs_are_guessed(tmp_path: Path, save_images: None, content, told) -> None:
    (tmp_path / "train.csv").write_text(content)
    found = recognise(tmp_path)
    assert (found.key, found.options) == ("table", told)
    assert not inspect(str(tmp_path)).damaged


@pytest.fixture
def save_images(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "images").mkdir()
    for name in "abc":
        Image.fromarray(np.zeros((4, 3, 3), dtype=np.uint8)).save(tmp_path / "images" / f"{name}.png")
