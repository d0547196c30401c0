"""Inspection finds what is wrong before anything is trained."""

import os
import re
import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image

from preceptor.data.contact_sheet import write_sheet
from preceptor.data.depths import stored_kind
from preceptor.data.inspect import inspect
from preceptor.data.looks import look_at_images
from preceptor.data.next_step import next_command
from preceptor.data.sources import open_source
from preceptor.errors import UserError

from .trees import class_folders, pairs, save_array, save_image, save_mask, truncate, write


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


@pytest.mark.slow
def test_real_crchistophenotypes_has_three_equal_pairs(real_data):
    found = inspect(str(real_data / "CRCHistoPhenotypes"))
    assert {equal.ids: equal.conflicting for equal in found.equal} == {
        ("15799", "15848"): True,
        ("18580", "18581"): False,
        ("4721", "4971"): True,
    }
    assert not found.damaged
    assert found.grouping == "image of origin"
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
    assert found.account.outside == 0
    assert found.counts.to_numpy().sum() == 13


def test_nothing_but_damaged_files(tmp_path):
    for name in ("a", "b"):
        for number in range(3):
            write(tmp_path / name / f"{number}.png", "")
    found = inspect(str(tmp_path))
    assert len(found.damaged) == 6
    assert found.sizes == {}
    assert found.equal == ()


def test_every_file_is_accounted_for_and_what_is_odd_is_named(tmp_path):
    class_folders(tmp_path)
    save_array(tmp_path / "cat" / "black.png", np.zeros((8, 8, 3), dtype=np.uint8))
    truncate(tmp_path / "dog" / "p0_0.png")
    write(tmp_path / "notes.txt", "x")
    write(tmp_path / "dog" / "Thumbs.db", "x")
    found = inspect(str(tmp_path))
    account = found.account
    assert (account.total, account.images, account.masks, account.read) == (11, 9, 0, ())
    assert {one.reason: one.places for one in account.unused} == {
        "hidden, or left by systems and programs": ("dog/Thumbs.db",),
        "no images by their endings": ("notes.txt",),
    }
    assert found.odd == {"cat/black": "one value all over, 0"}
    assert (found.values, found.grey) == ((0.0, 255.0), 1)
    assert found.kinds == {"PNG, 8 bit colour": 8}


def test_tables_and_archives_are_accounted_for(tmp_path):
    for number in range(4):
        save_image(tmp_path / "images" / f"{number}.png", seed=number)
    write(tmp_path / "labels.csv", "image,label\n0.png,a\n1.png,b\n2.png,a\n3.png,b\n")
    for path in (tmp_path, tmp_path / "labels.csv"):
        account = inspect(str(path)).account
        assert (account.total, account.images, account.read, account.unused) == (5, 4, ("labels.csv",), ())
    assert inspect(None, "phantom", {"images": 80}).account is None


def test_data_that_lie_deeper_are_named_where_they_lie(tmp_path):
    class_folders(tmp_path / "archive" / "data")
    write(tmp_path / "readme.txt", "x")
    found = inspect(str(tmp_path))
    assert (found.given, found.path) == (str(tmp_path), str(tmp_path / "archive" / "data"))
    assert found.account.total == 9


def test_several_processes_see_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("preceptor.data.looks._ENOUGH", 1)
    monkeypatch.setattr("preceptor.data.looks._CHUNK", 3)
    table = open_source("folder", str(class_folders(tmp_path)))
    assert look_at_images(table, processes=2) == look_at_images(table)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.int16([-5, 7]), "a run: signed and 32-bit values say nothing of black and white and are refused: set"),
        (np.float32([0, 1]), "a run: floats are black at 0 and white at 1, and anything beyond is refused; 8 bits of"),
        (np.uint16([0, 65535]), "a run: 0 becomes black and the highest number of that many bits white; 8 bits of"),
    ],
)
def test_what_a_run_makes_of_deep_files_is_said(tmp_path, values, said):
    for number, name in enumerate(("cat/1", "cat/2", "dog/1", "dog/2")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / f"{name}.tif", np.resize(values, (4, 4 + number)))
    found = inspect(str(tmp_path))
    assert any(note.startswith(said) for note in found.notes)
    assert bool(found.damaged) == (values.dtype == np.int16)


@pytest.mark.parametrize(
    ("write_image", "kind"),
    [
        (lambda p: Image.new("I;16", (4, 4)).save(p, "PNG"), "PNG, 16 bit grey"),
        (lambda p: Image.new("1", (4, 4)).save(p, "PNG"), "PNG, 1 bit grey"),
        (lambda p: Image.linear_gradient("L").convert("P").save(p, "PNG"), "PNG, 8 bit palette"),
        (lambda p: Image.new("RGB", (4, 4)).save(p, "JPEG"), "JPEG, 8 bit"),
        (lambda p: Image.new("RGB", (4, 4)).save(p, "BMP"), "BMP, 8 bit"),
        (lambda p: Image.new("RGB", (4, 4)).save(p, "WEBP"), "WebP, 8 bit"),
        (lambda p: Image.new("P", (4, 4)).save(p, "GIF"), "GIF, 8 bit palette"),
        (lambda p: tifffile.imwrite(p, np.zeros((4, 4), np.uint16)), "TIFF, 16 bit whole numbers, 1 channel"),
        (lambda p: tifffile.imwrite(p, np.zeros((4, 4, 3), np.float32), photometric="rgb"),
         "TIFF, 32 bit floating point, 3 channels"),
        (lambda p: p.write_bytes(b"II*\0 no"), "TIFF"),
        (lambda p: p.write_bytes(bytes(128) + b"DICM"), "DICOM"),
        (lambda p: p.write_bytes(b""), "other"),
    ],
)  # fmt: skip
def test_what_files_say_they_hold(tmp_path, write_image, kind):
    write_image(tmp_path / "a")
    assert stored_kind(tmp_path / "a") == kind


@pytest.mark.parametrize(
    ("options", "end"),
    [
        ({}, ""),
        ({"group": "^p(.)"}, " --option 'group=^p(.)'"),
        ({"classes": ["b", "a"]}, """ --option 'classes=["b", "a"]'"""),
        ({"grouping": "1"}, """ --option 'grouping="1"'"""),
    ],
)
def test_the_next_command_passes_on_what_was_given(tmp_path, options, end):
    root = class_folders(tmp_path / "my data", classes=("a", "b"))
    assert next_command(inspect(str(root), options=options)) == f"preceptor init '{root}'{end}"
    assert next_command(inspect(str(root), "folder", options)) == f"preceptor init '{root}' --source folder{end}"


def test_images_of_other_channels_are_looked_at_with_as_many(tmp_path):
    for name in ("a/0", "a/1", "b/0", "b/1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        values = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
        tifffile.imwrite(tmp_path / f"{name}.tif", values, photometric="minisblack", planarconfig="contig")
    assert len(inspect(str(tmp_path)).damaged) == 4
    found = inspect(str(tmp_path), channels=4)
    assert not found.damaged
    assert next_command(found).endswith(" --channels 4")


def test_generated_images_are_those_of_the_demo():
    assert next_command(inspect(None, "phantom", {"images": 48, "size": 16})) == "preceptor demo"


@pytest.mark.parametrize("ending", [".png", ".html"])
@pytest.mark.parametrize("make", [class_folders, pairs])
def test_contact_sheets(tmp_path, make, ending):
    root = make(tmp_path / "a <b>")
    truncate(next(iter(sorted(root.rglob("*.png")))))
    found = inspect(str(root))
    table = open_source(found.source, str(root), found.options)
    file = tmp_path / f"sheet{ending}"
    write_sheet(file, "a <b>", table, found.damaged, found.odd, most=3)
    if ending == ".png":
        with Image.open(file) as sheet:
            assert sheet.width > 1000
    else:
        page = file.read_text()
        assert "a &lt;b&gt;" in page
        assert "damaged: 1" in page
        assert page.index("class=none") < page.index("<img")
    with pytest.raises(UserError, match=r"give a file that ends in \.html or \.png"):
        write_sheet(tmp_path / "sheet.pdf", "x", table, {}, {})


def test_odd_images_on_a_sheet_are_of_every_kind_and_from_all_over_the_set(tmp_path):
    table = open_source("folder", str(class_folders(tmp_path / "set", per_class=10)))
    names = table.frame["id"].tolist()
    odd = dict.fromkeys(names[:-1], "nothing in its mask") | {names[-1]: "one value all over, 0"}
    write_sheet(tmp_path / "sheet.html", "x", table, {}, odd, most=4)
    shown = re.findall("<figcaption>([^<]*): ", (tmp_path / "sheet.html").read_text())
    assert shown == [names[0], names[-2], names[-1]]


def test_masks_are_outlined(tmp_path):
    pairs(tmp_path, count=1)
    table = open_source("folder", str(tmp_path))
    write_sheet(tmp_path / "sheet.png", "x", table, {}, {})
    with Image.open(tmp_path / "sheet.png") as sheet:
        colours = {colour for _, colour in sheet.getcolors(1 << 20)}
    assert (255, 220, 0) in colours


@pytest.mark.parametrize("side", [2, 7])
def test_masks_that_may_be_the_other_way_round_are_said(tmp_path, side):
    for number in range(3):
        save_image(tmp_path / "images" / f"{number}.png", seed=number)
        mask = np.zeros((8, 8), dtype=np.uint8)
        mask[:side, :side] = 255
        save_array(tmp_path / "masks" / f"{number}.png", mask)
    said = [note for note in inspect(str(tmp_path)).notes if "mask_values=[255, 0]" in note]
    assert [note.split(";")[0] for note in said] == ([] if side == 2 else ["foreground is 77% of the median mask"])
