"""A second observer's masks."""

from pathlib import Path

import numpy as np
from PIL import Image

from preceptor.data.account import account_for
from preceptor.data.masks.observers import second_observer
from preceptor.data.sources import open_source


def save(path: Path, values: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def chase(root: Path, *, lacking: tuple[str, ...] = ()) -> Path:
    for number in range(1, 4):
        for side in "LR":
            name = f"Image_{number:02d}{side}"
            save(root / f"{name}.jpg", np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8))
            first = np.zeros((8, 8), dtype=np.uint8)
            first[:2] = 255
            save(root / f"{name}_1stHO.png", first)
            if name not in lacking:
                save(root / f"{name}_2ndHO.png", np.roll(first, number, axis=0))
    return root


def test_published_layouts_bring_it_along(tmp_path: Path) -> None:
    table = open_source("chase_db1", str(chase(tmp_path, lacking=("Image_02L",))))
    account = account_for(tmp_path, table)
    assert not account.unused
    second = second_observer(table)
    assert second is not None
    names = ["Image_01L", "Image_01L", "Image_02L", "Image_03R"]
    found = list(second.pairs(names))
    assert [int((first & other).sum()) for first, other in found] == [8, 0]
    assert all(first.shape == other.shape == (1, 8, 8) for first, other in found)
    assert len(table.files(0)) == 3


def test_a_rule_of_ones_own_names_it(tmp_path: Path) -> None:
    options = {"image": r"(.+)\.jpg", "mask": r"(.+)_1stHO\.png", "second_mask": r"(.+)_2ndHO\.png"}
    assert second_observer(open_source("paths", str(chase(tmp_path)), options)) is not None
    rest = {"image": r"(.+)\.jpg", "mask": r"(.+)_1stHO\.png"}
    assert second_observer(open_source("paths", str(tmp_path), rest)) is None


def test_generated_data_have_none() -> None:
    assert second_observer(open_source("phantom", None, {"task": "segmentation"})) is None
