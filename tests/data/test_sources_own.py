"""One's own images: class folders, image and mask folders, and tables."""

import os
import sys

import pytest

from preceptor.data.sources import open_source, recognise
from preceptor.data.sources._tables import read_table
from preceptor.data.sources.folder import part_word
from preceptor.errors import UserError

from .test_sources import check
from .trees import class_folders, pairs, save_image, save_mask, write


def test_class_folders(tmp_path):
    table = open_source("folder", str(class_folders(tmp_path)))
    check(table)
    assert table.classes == ("cat", "dog")
    assert table.frame["label"].tolist() == [0] * 4 + [1] * 4
    assert table.frame["id"].iloc[0] == "cat/p0_0"
    assert table.grouping is None
    assert "images of one patient can be on both sides" in table.notes[0]
    assert recognise(tmp_path).key == "folder"


def test_class_order_can_be_set(tmp_path):
    table = open_source("folder", str(class_folders(tmp_path)), {"classes": ["dog", "cat"]})
    assert table.frame["label"].tolist() == [0] * 4 + [1] * 4
    assert table.frame["id"].iloc[0] == "dog/p0_0"
    with pytest.raises(UserError, match=r"saw: the class folders cat, dog\n.*cat, cow"):
        open_source("folder", str(tmp_path), {"classes": ["cat", "cow"]})


def test_group_rule(tmp_path):
    table = open_source("folder", str(class_folders(tmp_path)), {"group": r"^(p\d)_", "grouping": "patient"})
    check(table)
    assert table.grouping == "patient"
    assert table.frame["group"].tolist() == ["p0", "p0", "p1", "p1"] * 2
    with pytest.raises(UserError, match=r"rule q\\d finds nothing in 'p0_0'"):
        open_source("folder", str(tmp_path), {"group": r"q\d"})
    with pytest.raises(UserError, match="no regular expression"):
        open_source("folder", str(tmp_path), {"group": "("})


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("training", "valid", "test"), ("Train", "validation", "Testing")]
)
def test_parts_of_class_folders(tmp_path, names):
    for name in names:
        class_folders(tmp_path / name)
    table = open_source("folder", str(tmp_path))
    check(table)
    assert table.classes == ("cat", "dog")
    assert table.frame["split"].value_counts().to_dict() == {"train": 8, "validation": 8, "test": 8}
    assert recognise(tmp_path).key == "folder"


def test_classes_that_sound_like_parts_stay_classes(tmp_path):
    """A folder is a part only where all of them are, and hold folders in turn."""
    table = open_source("folder", str(class_folders(tmp_path, classes=("test_positive", "train_track"))))
    assert table.classes == ("test_positive", "train_track")
    assert table.frame["split"].isna().all()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("MoNuSegTrainData", "train"),
        ("test", "test"),
        ("data_VAL", "validation"),
        ("trainTest", None),
        ("contest", None),
        ("images", None),
    ],
)
def test_part_word(name, part):
    assert part_word(name) == part


def test_image_and_mask_folders(tmp_path):
    table = open_source("folder", str(pairs(tmp_path)))
    check(table)
    assert table.task == "segmentation"
    assert table.classes == ("background", "foreground")
    assert [int(table.read(row)[1].sum()) for row in range(3)] == [1, 4, 9]
    assert recognise(tmp_path).key == "folder"


def test_pairs_below_parts_as_in_monuseg(tmp_path):
    pairs(tmp_path / "MoNuSegTrainData", images="tissue_image")
    pairs(tmp_path / "MoNuSegTestData", images="tissue_image", start=3, count=2)
    found = recognise(tmp_path)
    assert found.options == {"images": "tissue_image"}
    table = open_source(found.key, str(tmp_path), found.options)
    check(table)
    assert table.frame["split"].value_counts().to_dict() == {"train": 3, "test": 2}
    assert table.frame["group"].iloc[0] == "TCGA-AA-0003"
    assert table.grouping == "patient"
    assert "TCGA barcodes" in table.notes[0]
    assert table.frame["id"].iloc[0] == "test/TCGA-AA-0003-01Z"


def crops(folder, patients=5, each=4):
    for patient in range(patients):
        for crop in range(each):
            save_image(folder / f"TCGA-18-559{patient}_{crop}.png", seed=patient * 10 + crop)


def test_crops_of_one_patient_stay_together(tmp_path):
    crops(tmp_path / "images")
    for file in (tmp_path / "images").iterdir():
        save_mask(tmp_path / "masks" / file.name)
    found = recognise(tmp_path)
    table = open_source(found.key, str(tmp_path), found.options)
    assert (table.frame["group"].nunique(), table.grouping) == (5, "patient")


def test_barcodes_in_class_folders_are_patients(tmp_path):
    crops(tmp_path / "a", patients=3)
    crops(tmp_path / "b", patients=5)
    found = recognise(tmp_path)
    table = open_source(found.key, str(tmp_path), found.options)
    assert (table.frame["group"].nunique(), table.grouping) == (5, "patient")


def test_a_rule_that_swallows_crops_is_a_warning(tmp_path):
    crops(tmp_path / "a")
    crops(tmp_path / "b")
    table = open_source("folder", str(tmp_path), {"group": r"^TCGA-\w+-\w+", "grouping": "patient"})
    assert table.notes[0].startswith("WARNING: the group rule makes 20 groups")


def test_where_no_group_is_known_it_says_how_to_set_one(tmp_path):
    for name in ("a", "b"):
        save_image(tmp_path / name / "1.png")
    table = open_source("folder", str(tmp_path))
    assert table.grouping is None
    assert "data.options.group" in table.notes[0]


def test_folds_with_class_folders_in_them_are_not_taken_for_classes_without_a_word(tmp_path):
    for fold in ("fold1", "fold2", "fold3"):
        for name in ("a", "b"):
            for image in range(4):
                save_image(tmp_path / fold / name / f"{fold}{name}{image}.png", seed=image)
    *_, last = recognise(tmp_path).reasons
    assert "each of fold1, fold2, fold3 holds a, b: if these are the classes" in last


def test_folders_below_the_classes_can_be_groups(tmp_path):
    for name in ("a", "b"):
        for patient in range(3):
            for image in range(2):
                save_image(tmp_path / name / f"{name}{patient}" / f"{image}.png", seed=image)
    found = recognise(tmp_path)
    assert found.options == {"group_from": "folder", "grouping": "folder"}
    assert "guessed: the 6 folders below the classes" in found.reasons[1]
    assert len(found.reasons) == 2
    plain = open_source("folder", str(tmp_path))
    assert len(plain) == 12
    assert plain.grouping is None
    assert "6 folders that images lie in are patients, set data.options.group_from=folder" in plain.notes[0]
    table = open_source("folder", str(tmp_path), {"group_from": "folder", "grouping": "patient"})
    check(table)
    assert table.frame["group"].tolist() == [p for p in ("a0", "a1", "a2", "b0", "b1", "b2") for _ in range(2)]
    first = open_source("folder", str(tmp_path), {"group_from": "folder", "group": "^(.)"})
    assert set(first.frame["group"]) == {"a", "b"}
    save_image(tmp_path / "a" / "loose.png")
    with pytest.raises(UserError, match="'loose' lies in no folder below"):
        open_source("folder", str(tmp_path), {"group_from": "folder"})


def test_mask_folders_below_patients_are_no_classes(tmp_path):
    for patient in ("p1", "p2"):
        save_image(tmp_path / patient / "images" / "1.png")
        save_mask(tmp_path / patient / "masks" / "1.png")
    with pytest.raises(UserError, match="seem to hold masks"):
        open_source("folder", str(tmp_path))


def test_part_names_can_be_set(tmp_path):
    pairs(tmp_path / "A")
    pairs(tmp_path / "B", start=3)
    with pytest.raises(UserError, match="expected"):
        open_source("folder", str(tmp_path))
    table = open_source("folder", str(tmp_path), {"parts": {"A": "train", "B": "test"}})
    assert table.frame["split"].tolist() == ["train"] * 3 + ["test"] * 3
    with pytest.raises(UserError, match="parts names C"):
        open_source("folder", str(tmp_path), {"parts": {"C": "train"}})
    with pytest.raises(UserError, match=r"option parts is .*'train', 'validation' or 'test'"):
        open_source("folder", str(tmp_path), {"parts": {"A": "val"}})


def test_mask_names_may_have_a_suffix(tmp_path):
    for number in range(2):
        save_image(tmp_path / "images" / f"{number}.jpg")
        save_mask(tmp_path / "masks" / f"{number}_mask.png")
    assert recognise(tmp_path).options == {"mask_suffix": "_mask"}
    check(open_source("folder", str(tmp_path), {"mask_suffix": "_mask"}))
    with pytest.raises(UserError, match="without a mask"):
        open_source("folder", str(tmp_path))


def test_several_mask_classes(tmp_path):
    save_image(tmp_path / "images" / "a.png")
    save_mask(tmp_path / "masks" / "a.png", foreground=2)
    table = open_source("folder", str(tmp_path), {"classes": ["background", "tumour", "stroma"]})
    check(table)
    with pytest.raises(UserError, match="unexpected values 0, 2"):
        open_source("folder", str(tmp_path)).read(0)


def test_images_and_masks_must_match(tmp_path):
    pairs(tmp_path)
    save_image(tmp_path / "images" / "alone.png")
    with pytest.raises(UserError, match=r"1 images in .*without a mask in .*: alone"):
        open_source("folder", str(tmp_path))
    (tmp_path / "images" / "alone.png").unlink()
    save_mask(tmp_path / "masks" / "lonely.png")
    with pytest.raises(UserError, match=r"1 masks in .*without an image in .*: lonely"):
        open_source("folder", str(tmp_path))


def test_empty_class_loose_images_and_single_classes(tmp_path):
    class_folders(tmp_path)
    (tmp_path / "cow").mkdir()
    with pytest.raises(UserError, match="class 'cow' is empty"):
        open_source("folder", str(tmp_path))
    (tmp_path / "cow").rmdir()
    save_image(tmp_path / "stray.png")
    with pytest.raises(UserError, match=r"1 images in .* lie in no class folder: stray\.png"):
        open_source("folder", str(tmp_path))
    class_folders(tmp_path / "one", classes=("cat",))
    with pytest.raises(UserError, match="saw: one class folder, cat/"):
        open_source("folder", str(tmp_path / "one"))
    class_folders(tmp_path / "parts" / "train")
    class_folders(tmp_path / "parts" / "test", classes=("cat",))
    with pytest.raises(UserError, match=r"class 'dog' is empty: no image in .*test"):
        open_source("folder", str(tmp_path / "parts"))


def test_one_image_in_two_formats(tmp_path):
    class_folders(tmp_path)
    save_image(tmp_path / "cat" / "p0_0.jpg")
    with pytest.raises(UserError, match=r"'p0_0\.jpg' and 'p0_0\.png': which is it"):
        open_source("folder", str(tmp_path))


HEAD = "InstanceID,patientID,ImageName,cellTypeName,cellType,isCancerous"
CRC = {
    "image": "ImageName",
    "label": "cellTypeName",
    "group": "patientID",
    "grouping": "image of origin",
    "image_folder": "patch_images",
}


@pytest.fixture
def crc(tmp_path):
    names = ("fibroblast", "inflammatory", "epithelial", "others")
    rows = [HEAD]
    for number in range(8):
        save_image(tmp_path / "patch_images" / f"{number}.png", seed=number, size=(27, 27))
        rows.append(f"{number},{number // 4},{number}.png,{names[number % 4]},{number % 4},{int(number % 4 == 2)}")
    write(tmp_path / "data_labels_mainData.csv", "\n".join(rows) + "\n")
    return tmp_path


def edit(root, old, new):
    file = root / "data_labels_mainData.csv"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_table_as_crchistophenotypes_needs(crc):
    table = open_source("table", str(crc), CRC)
    check(table)
    assert table.classes == ("epithelial", "fibroblast", "inflammatory", "others")
    assert table.grouping == "image of origin"
    assert table.frame["group"].tolist() == ["0"] * 4 + ["1"] * 4
    found = recognise(crc)
    assert (found.key, found.options) == ("table", CRC)


def test_the_column_says_what_a_group_is_where_nothing_else_does(crc):
    plain = {key: value for key, value in CRC.items() if key != "grouping"}
    assert open_source("table", str(crc), plain).grouping == "patientID"
    del plain["group"]
    with pytest.raises(UserError, match=r"grouping \('woman'\) says what a group is, and no column has groups"):
        open_source("table", str(crc), {**plain, "grouping": "woman"})


def test_class_names_from_a_column(crc):
    table = open_source("table", str(crc), {**CRC, "label": "cellType", "class_name": "cellTypeName"})
    assert table.classes == ("fibroblast", "inflammatory", "epithelial", "others")
    edit(crc, "fibroblast,0,0", "others,0,0")
    with pytest.raises(UserError, match="do not name classes one to one"):
        open_source("table", str(crc), {**CRC, "label": "cellType", "class_name": "cellTypeName"})


def test_numbers_sort_as_numbers(tmp_path):
    lines = ["image,label"]
    for number, label in enumerate((10, 9, 2)):
        save_image(tmp_path / f"{number}.png", seed=number)
        lines.append(f"{number}.png,{label}")
    write(tmp_path / "labels.csv", "\n".join(lines))
    table = open_source("table", str(tmp_path / "labels.csv"), {"label": "label"})
    assert table.classes == ("2", "9", "10")
    assert table.frame["label"].tolist() == [2, 1, 0]


def test_table_of_masks_with_official_parts(tmp_path):
    lines = ["name\tmask\tslide\tpart"]
    for number, part in enumerate(("Train", "valid", "TEST")):
        save_image(tmp_path / "img" / f"{number}.jpg", seed=number)
        save_mask(tmp_path / "seg" / f"m{number}.png")
        lines.append(f"{number}\tm{number}.png\ts{number}\t{part}")
    write(tmp_path / "all.tsv", "\n".join(lines))
    options = {
        "image": "name", "image_folder": "img", "image_file": "{}.jpg", "mask": "mask", "mask_folder": "seg",
        "group": "slide", "split": "part",
    }  # fmt: skip
    table = open_source("table", str(tmp_path), options)
    check(table)
    assert table.frame["split"].tolist() == ["train", "validation", "test"]
    found = recognise(tmp_path)
    assert (found.key, found.options) == ("table", options)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\n3,0,3.png", "\n3,0,33.png", r"1 rows name an image that is not there, for example .*33\.png"),
        ("\n3,0,3.png", "\n3,0,2.png", r"'2\.png' in lines 4, 5, with the labels epithelial, others"),
        ("\n3,0,3.png,others,3", "\n3,0,2.png,epithelial,2", r"'2\.png' in lines 4, 5: each image needs one row"),
        ("\n7,1,7.png,others,3,0", "", r"1 images in .* are in no row of .*: 7\.png"),
    ],
)
def test_tables_with_mistakes(crc, old, new, message):
    edit(crc, old, new)
    with pytest.raises(UserError, match=message):
        open_source("table", str(crc), CRC)


def test_duplicate_ids(crc):
    edit(crc, "\n3,0,3.png", "\n2,0,3.png")
    with pytest.raises(UserError, match=r"share an id .* '2' \(patch_images/2\.png, patch_images/3\.png\)"):
        open_source("table", str(crc), {**CRC, "id": "InstanceID"})


def test_unlisted_images_can_be_ignored(crc):
    save_image(crc / "patch_images" / "extra.png")
    assert len(open_source("table", str(crc), {**CRC, "unlisted": "ignore"})) == 8


def test_table_options_are_explained(crc):
    with pytest.raises(UserError, match="no column img: it has InstanceID, patientID"):
        open_source("table", str(crc), {**CRC, "image": "img"})
    with pytest.raises(UserError, match="set the option label, mask or rle"):
        open_source("table", str(crc), {"image": "ImageName", "image_folder": "patch_images"})
    with pytest.raises(UserError, match=r"set the option image_file, for example to \{\}\.png"):
        open_source("table", str(crc), {**CRC, "image": "InstanceID"})
    with pytest.raises(UserError, match=r"needs \{\} where"):
        open_source("table", str(crc), {**CRC, "image_file": "x.png"})
    with pytest.raises(UserError, match="holds 0, 1: expected train"):
        open_source("table", str(crc), {**CRC, "split": "patientID"})
    with pytest.raises(UserError, match="has no mitosis of the option classes"):
        open_source(
            "table", str(crc), {**CRC, "classes": ["fibroblast", "inflammatory", "epithelial", "others", "mitosis"]}
        )
    with pytest.raises(UserError, match="holds others, which is not in"):
        open_source("table", str(crc), {**CRC, "classes": ["fibroblast", "inflammatory", "epithelial"]})
    write(crc / "second.csv", "a,b\n")
    with pytest.raises(UserError, match="the option csv with the file's name"):
        open_source("table", str(crc), CRC)
    assert len(open_source("table", str(crc), {**CRC, "csv": "data_labels_mainData.csv"})) == 8


def test_recognise_says_what_is_missing(crc, tmp_path):
    for number in range(8):
        edit(crc, f"\n{number},", "\nx,")
        edit(crc, f"{number}.png", "y.png")
    with pytest.raises(UserError, match="no column whose values are image files"):
        recognise(crc)
    (tmp_path / "mess").mkdir()
    write(tmp_path / "mess" / "readme.txt", "")
    with pytest.raises(UserError, match=r"no known layout\.\n  saw: readme\.txt"):
        recognise(tmp_path / "mess")


def test_real_crchistophenotypes(real_data):
    found = recognise(real_data / "CRCHistoPhenotypes")
    assert (found.key, found.options) == ("table", CRC)
    table = open_source("table", str(real_data / "CRCHistoPhenotypes"), CRC)
    assert table.frame["label"].value_counts().sort_index().tolist() == [3169, 1448, 2108, 1028]
    assert table.frame["group"].nunique() == 48


def test_real_monuseg(real_data):
    found = recognise(real_data / "MoNuSeg")
    table = open_source(found.key, str(real_data / "MoNuSeg"), found.options)
    assert table.frame["split"].value_counts().to_dict() == {"train": 24, "test": 11}
    assert table.frame["group"].nunique() == 35
    image, mask = table.read(0)
    assert image.shape == (1000, 1000, 3)
    assert mask is not None
    assert 0.1 < mask.mean() < 0.45


def test_links_that_lead_nowhere_are_no_missing_class(tmp_path):
    class_folders(tmp_path)
    os.symlink("/nonexistent/bird", tmp_path / "bird")
    with pytest.raises(UserError, match=r"bird' is a link to '/nonexistent/bird', which does not exist"):
        open_source("folder", str(tmp_path))
    (tmp_path / "bird").unlink()
    os.symlink("bird", tmp_path / "bird")
    with pytest.raises(UserError, match=r"bird' is a link that leads back to itself"):
        open_source("folder", str(tmp_path))


@pytest.mark.parametrize(("link", "to"), [("cat/up", ".."), ("self", "."), ("cat/a", "../cat")])
def test_folders_that_hold_themselves_are_refused(tmp_path, link, to):
    """Else images of dogs would be read below cat/up/dog, as cats."""
    class_folders(tmp_path)
    os.symlink(to, tmp_path / link)
    with pytest.raises(UserError, match="holds itself, by a link"):
        open_source("folder", str(tmp_path))


def test_a_folder_called_like_an_image_is_one_only_with_images_in_it(tmp_path):
    class_folders(tmp_path)
    save_image(tmp_path / "cat" / "slide.tif" / "tile.png", seed=9)
    (tmp_path / "cat" / "other.tif").mkdir()
    found = open_source("folder", str(tmp_path))
    assert "cat/slide.tif/tile" in found.frame["id"].tolist()
    with pytest.raises(UserError, match=r"other\.tif' is a folder"):
        found.read(found.frame["id"].tolist().index("cat/other"))


def test_a_group_rule_that_never_ends_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("preceptor.data.patterns.SECONDS", 0.5)
    class_folders(tmp_path)
    save_image(tmp_path / "cat" / f"{'a' * 60}!.png")
    with pytest.raises(UserError, match=r"group \^\(a\+\)\+\$ does not come to an end within \d s at 'a{60}!'"):
        open_source("folder", str(tmp_path), {"group": r"^(a+)+$"})


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_tables_in_any_letters_and_separators(tmp_path, separator, encoding):
    rows = [("image ", " label", "a note"), ("0.png", "bösartig", "x"), ("1.png", "gutartig", "y")]
    for number in range(2):
        save_image(tmp_path / f"{number}.png", seed=number)
    text = "".join(separator.join(row) + "\r\n" for row in rows)
    (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
    table = open_source("table", str(tmp_path), {"image": "image", "label": "label"})
    check(table)
    assert table.classes == ("bösartig", "gutartig")
    assert any("Latin-1" in note for note in table.notes) == (encoding == "cp1252")


def test_tables_as_parquet(tmp_path):
    import pandas as pd

    for number in range(3):
        save_image(tmp_path / f"{number}.png", seed=number)
    pd.DataFrame({"image": ["0.png", "1.png", "2.png"], "grade": [1, 2, 1], "age": [1.5, None, 2]}).to_parquet(
        tmp_path / "labels.parquet"
    )
    found = open_source("table", str(tmp_path), {"image": "image", "label": "grade"})
    check(found)
    assert found.classes == ("1", "2")
    pd.DataFrame({"image": ["0.png", "1.png", "2.png"], "grade": [1.0, 2.0, None]}).to_parquet(
        tmp_path / "labels.parquet"
    )
    assert set(read_table(tmp_path / "labels.parquet").rows["grade"]) == {"1", "2", ""}
    (tmp_path / "labels.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match="damaged or no Parquet"):
        open_source("table", str(tmp_path), {"image": "image", "label": "grade"})


def test_parquet_without_its_library_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "labels.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"pip install .*\[parquet\]'"):
        open_source("table", str(tmp_path), {"image": "image", "label": "grade"})


@pytest.mark.parametrize(
    "named",
    [
        "D:\\study\\images\\{}.png",
        "/home/someone/study/images/{}.png",
        "images\\{}.png",
        "images/{}.png",
        "{}.PNG",
        "{}.png",
        "IMAGES/{}.Png",
    ],
)
def test_paths_of_other_computers_are_found_by_name(tmp_path, named):
    lines = ["image,label,patient"]
    for number in range(6):
        save_image(tmp_path / "images" / f"a{number}.png", seed=number)
        lines.append(f"{named.format(f'a{number}')},{'xy'[number % 2]},P{number // 2}")
    write(tmp_path / "labels.csv", "\n".join(lines))
    found = recognise(tmp_path)
    assert (found.key, found.options["image"], found.options["label"]) == ("table", "image", "label")
    table = open_source(found.key, str(tmp_path), found.options)
    check(table)
    assert table.frame["image"].tolist() == [f"images/a{number}.png" for number in range(6)]
    assert any("found by file name" in note for note in table.notes) == (named not in ("{}.png", "images/{}.png"))


def test_a_name_that_several_files_have_is_not_guessed(tmp_path):
    for folder in ("p1", "p2"):
        save_image(tmp_path / folder / "0.png")
    write(tmp_path / "labels.csv", "image,label\nD:\\x\\0.png,a\n")
    with pytest.raises(UserError, match="their names are those of several files"):
        open_source("table", str(tmp_path), {"label": "label"})


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (("benign", "Benign", "malign", "malign"), r"'Benign' \(1\) and 'benign' \(1\)"),
        (("benign", "benign ", "malign", "malign"), r"'benign' \(1\) and 'benign ' \(1\)"),
        (("0", "0.0", "1", "1.0"), r"'0' \(1\) and '0.0' \(1\); '1' \(1\) and '1.0' \(1\)"),
    ],
)
def test_labels_in_several_spellings_are_named(tmp_path, labels, told):
    for number in range(4):
        save_image(tmp_path / f"{number}.png", seed=number)
    write(tmp_path / "labels.csv", "image,label\n" + "".join(f"{n}.png,{label}\n" for n, label in enumerate(labels)))
    with pytest.raises(UserError, match=told):
        open_source("table", str(tmp_path), {"label": "label"})
    joined = open_source("table", str(tmp_path), {"label": "label", "spellings": "join"})
    assert joined.frame["label"].tolist() == [0, 0, 1, 1]
    apart = open_source("table", str(tmp_path), {"label": "label", "classes": list(dict.fromkeys(labels))})
    assert len(apart.classes) == len(set(labels))


def one_hot(root, rows, folder="Truth"):
    lines = ["image,MEL,NV,BCC,UNK"]
    for number, row in enumerate(rows):
        save_image(root / "Input" / f"I{number}.jpg", seed=number)
        lines.append(f"I{number},{row}")
    write(root / folder / "truth.csv", "\n".join(lines))
    return root


def test_one_hot_tables(tmp_path):
    one_hot(tmp_path, ["1.0,0.0,0.0,0.0", "0.0,1.0,0.0,0.0", "0.0,0.0,1.0,0.0", "1.0,0.0,0.0,0.0"])
    found = recognise(tmp_path)
    assert found.options == {
        "csv": "Truth/truth.csv", "image": "image", "image_folder": "Input", "image_file": "{}.jpg",
        "label": ["MEL", "NV", "BCC", "UNK"],
    }  # fmt: skip
    table = open_source(found.key, str(tmp_path), found.options)
    check(table)
    assert table.classes == ("MEL", "NV", "BCC")
    assert table.frame["label"].tolist() == [0, 1, 2, 0]
    assert "UNK of truth.csv has no image and is no class: 3 classes." in table.notes


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,1,0,0", r"1 rows, the first is line 5, with several 1s, so it is multi-label"),
        ("0,0,0,0", "no 1 in any of the columns"),
        ("0.5,0.5,0,0", "column MEL of truth.csv holds '0.5'"),
    ],
)
def test_one_hot_rows_that_are_none(tmp_path, row, message):
    one_hot(tmp_path, ["1,0,0,0", "0,1,0,0", "0,0,1,0", row])
    options = {"csv": "Truth/truth.csv", "image_folder": "Input", "image_file": "{}.jpg"}
    with pytest.raises(UserError, match=message):
        open_source("table", str(tmp_path), {**options, "label": ["MEL", "NV", "BCC", "UNK"]})


def test_tables_say_how_to_be_saved(tmp_path):
    save_image(tmp_path / "0.png")
    for content, message in (
        (b"\xff\xfeimage,label\n0.png,a", "begins like UTF-16 and is damaged"),
        (b"image,label,label\n0.png,a,b\n", "has 2 columns label"),
        (b"image,label\n0.png,a,b\n0.png,a,b\n", "more values than its first line has columns"),
    ):
        (tmp_path / "labels.csv").write_bytes(content)
        with pytest.raises(UserError, match=message):
            open_source("table", str(tmp_path / "labels.csv"), {"image": "image", "label": "label"})
    (tmp_path / "labels.csv").unlink()
    os.mkfifo(tmp_path / "labels.csv")
    looks = (
        lambda: recognise(tmp_path / "labels.csv"),
        lambda: recognise(tmp_path),
        lambda: open_source("table", str(tmp_path)),
    )
    for look in looks:
        with pytest.raises(UserError, match=r"labels\.csv' is a named pipe"):
            look()
