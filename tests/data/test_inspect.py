"""Inspection finds what is wrong before anything is trained."""

import os
import shutil

import numpy as np
import pytest
import tifffile

from preceptor.data.inspect import inspect
from preceptor.errors import UserError

from .trees import class_folders, pairs, save_mask, truncate, write


def test_counts_sizes_and_groups(tmp_path):
    found = inspect(str(class_folders(tmp_path)), options={"group": r"^p\d", "grouping": "patient"})
    assert (found.source, found.task, found.classes) == ("folder", "classification", ("cat", "dog"))
    assert found.counts["all"].to_dict() == {"cat": 4, "dog": 4}
    assert found.groups.to_dict() == {"cat": 2, "dog": 2}
    assert (found.group_count, found.group_sizes) == (2, (4, 4.0, 4))
    assert found.sizes == {(8, 8): 8}
    assert not found.damaged
    assert found.splitting.startswith("cannot be split by default: only 2 patients")


def test_damaged_files_are_named(tmp_path):
    class_folders(tmp_path)
    truncate(tmp_path / "cat" / "p0_0.png")
    (tmp_path / "dog" / "p1_3.png").unlink()
    tifffile.imwrite(tmp_path / "dog" / "p1_3.tif", np.full((4, 4), np.nan, dtype=np.float32))
    found = inspect(str(tmp_path))
    assert set(found.damaged) == {"cat/p0_0", "dog/p1_3"}
    assert "p0_0.png' is damaged" in found.damaged["cat/p0_0"]
    assert "NaN" in found.damaged["dog/p1_3"]
    assert found.sizes == {(8, 8): 6}


def test_equal_images_in_several_parts(tmp_path):
    for part in ("train", "test"):
        class_folders(tmp_path / part)
    found = inspect(str(tmp_path))
    assert len(found.equal) == 8
    assert all(equal.across_parts and not equal.conflicting for equal in found.equal)
    assert found.counts.columns.tolist() == ["train", "test"]


def test_conflicting_labels_and_masks(tmp_path):
    root = class_folders(tmp_path / "classes")
    shutil.copy(root / "cat" / "p0_0.png", root / "dog" / "copy.png")
    (equal,) = inspect(str(root)).equal
    assert equal.ids == ("cat/p0_0", "dog/copy")
    assert equal.conflicting
    assert not equal.across_parts
    root = pairs(tmp_path / "pairs")
    first, second, _ = sorted((root / "images").iterdir())
    shutil.copy(first, second)
    (equal,) = inspect(str(root)).equal
    assert equal.conflicting


def test_masks(tmp_path):
    pairs(tmp_path)
    save_mask(tmp_path / "masks" / "TCGA-AA-0000-01Z.png", side=0)
    save_mask(tmp_path / "masks" / "TCGA-AA-0001-01Z.png", size=(4, 4))
    found = inspect(str(tmp_path))
    assert found.foreground == (0.0, pytest.approx(4.5 / 64), 9 / 64, 1)
    assert "is 4 x 4 pixels" in found.damaged["TCGA-AA-0001-01Z"]
    assert found.grouping == "patient"


def test_nothing_to_look_at(tmp_path):
    with pytest.raises(UserError, match="no known layout"):
        inspect(str(tmp_path))
    with pytest.raises(UserError, match="give the path"):
        inspect(None)


def test_generated_data_need_no_path():
    found = inspect(None, "phantom", {"images": 80})
    assert found.counts.to_numpy().sum() == 80
    assert found.equal == ()


def test_real_crchistophenotypes_has_three_equal_pairs(real_data):
    found = inspect(str(real_data / "CRCHistoPhenotypes"))
    assert {equal.ids: equal.conflicting for equal in found.equal} == {
        ("15799", "15848"): True,
        ("18580", "18581"): False,
        ("4721", "4971"): True,
    }
    assert not found.damaged
    assert found.grouping == "patientID"
    assert found.group_count == 48


def test_real_monuseg(real_data):
    found = inspect(str(real_data / "MoNuSeg"))
    assert found.counts.loc["images"].to_dict() == {"train": 24, "test": 11}
    assert (found.equal, found.damaged) == ((), {})
    assert found.grouping == "patient"


def test_what_is_no_file_is_listed_and_the_rest_inspected(tmp_path):
    class_folders(tmp_path)
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "cat" / "folder.png").mkdir()
    os.symlink("loop.png", tmp_path / "cat" / "loop.png")
    os.symlink("/nonexistent", tmp_path / "dog" / "gone.png")
    (tmp_path / "dog" / "empty.png").touch()
    found = inspect(str(tmp_path))
    assert sorted(found.damaged) == ["cat/folder", "cat/loop", "cat/pipe", "dog/empty", "dog/gone"]
    assert "named pipe" in found.damaged["cat/pipe"]
    assert found.counts.to_numpy().sum() == 13


def test_nothing_but_damaged_files(tmp_path):
    for name in ("a", "b"):
        for number in range(3):
            write(tmp_path / name / f"{number}.png", "")
    found = inspect(str(tmp_path))
    assert len(found.damaged) == 6
    assert found.sizes == {}
    assert found.equal == ()
