"""Masks as runs in a table."""

from pathlib import Path

import numpy as np
import pytest

from preceptor.data.decoded import read_row
from preceptor.data.masks.runs import Runs
from preceptor.data.sources import open_source
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


@pytest.fixture
def save_images(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "images").mkdir()
    for name in "abc":
        Image.fromarray(np.zeros((4, 3, 3), dtype=np.uint8)).save(tmp_path / "images" / f"{name}.png")
