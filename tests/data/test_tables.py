"""Tables as spreadsheets, websites and other people's programs save them."""

import unicodedata

import pandas as pd
import pytest

from preceptor.data.sources import open_source, recognise
from preceptor.errors import UserError

from .test_sources import check
from .trees import class_folders, pairs, save_image, write

ROWS = tuple((f"im{number}.png", f"P{number // 2}", ("benign", "malignant")[number % 2]) for number in range(6))
HEADER = ("image", "patient", "label")


def images(root, *names):
    for number, name in enumerate(names or [row[0] for row in ROWS]):
        save_image(root / name, seed=number)
    return root


def written(rows=ROWS, header=HEADER, separator=",", end="\n"):
    return end.join(separator.join(map(str, row)) for row in (header, *rows)) + end


def opened(root):
    found = recognise(root)
    table = open_source(found.key, str(root), found.options)
    check(table)
    return table, found


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\n" + written(separator=";"),
        "\ufeffsep=,\r\n" + written(end="\r\n"),
        written(end="\r"),
        written(separator=";") + ";;\n;;\n",
        written((*ROWS, *ROWS[:2])),
        written([(f"https://example.org/a/{name}?download=1", *rest) for name, *rest in ROWS]),
        written([(name.replace("png", "jpg"), *rest) for name, *rest in ROWS]),
    ],
    ids=["line for Excel", "and a mark", "old line ends", "empty rows", "rows twice", "addresses", "other ending"],
)
def test_tables_that_people_mean_all_alike(tmp_path, content):
    images(tmp_path)
    (tmp_path / "labels.csv").write_bytes(content.encode())
    table, _ = opened(tmp_path)
    assert (table.classes, len(table)) == (("benign", "malignant"), 6)
    assert table.frame["label"].tolist() == [0, 1] * 3
    assert table.frame["group"].tolist() == [row[1] for row in ROWS]
    assert any("empty rows of labels.csv" in note for note in table.notes) == (";;" in content)
    assert any("again, word for word" in note for note in table.notes) == (content.count("im0") > 1)


def test_lines_are_counted_as_the_file_has_them(tmp_path):
    images(tmp_path)
    rows = [("", "", ""), *ROWS, ("im0.png", "P0", "malignant")]
    write(tmp_path / "labels.csv", "sep=,\n" + written(rows))
    with pytest.raises(UserError, match=r"'im0\.png' in lines 4, 10, with the labels benign, malignant"):
        open_source("table", str(tmp_path), {"label": "label"})


def test_numbers_that_lost_their_zeros_find_their_files(tmp_path):
    images(tmp_path, *(f"{number:03d}.png" for number in range(7, 13)))
    write(tmp_path / "labels.csv", written([(number, "P", "xy"[number % 2]) for number in range(7, 13)]))
    table, _ = opened(tmp_path)
    assert table.frame["image"].tolist() == [f"{number:03d}.png" for number in range(7, 13)]
    assert any("'7' is '007.png'" in note for note in table.notes)
    save_image(tmp_path / "07.png")
    with pytest.raises(UserError, match="names are those of several files"):
        open_source("table", str(tmp_path), {"label": "label"})


def test_accents_are_one_letter_or_two(tmp_path):
    names = [f"Präparat_{number}.png" for number in range(4)]
    images(tmp_path / "Bilder", *(unicodedata.normalize("NFD", name) for name in names))
    write(tmp_path / "labels.csv", written([(name, "P", "ab"[n % 2]) for n, name in enumerate(names)]))
    assert len(opened(tmp_path)[0]) == 4


def test_paths_whose_names_come_in_several_folders_outweigh_the_folders(tmp_path):
    rows = [(f"p{number // 2}/{number % 2}.png", f"p{number // 2}", "xy"[number % 2]) for number in range(6)]
    images(tmp_path, *(row[0] for row in rows))
    write(tmp_path / "labels.csv", written(rows))
    table, found = opened(tmp_path)
    assert (found.key, table.classes) == ("table", ("x", "y"))
    assert any("--source folder reads that instead" in reason for reason in found.reasons)


def test_a_table_beside_class_folders_that_is_not_read_is_said(tmp_path):
    class_folders(tmp_path)
    write(tmp_path / "splits.csv", "folder,file\ncat,0\ndog,1\n")
    found = recognise(tmp_path)
    assert found.key == "folder"
    assert any(reason.startswith("splits.csv beside it: not read;") for reason in found.reasons)


def test_columns_that_are_not_used_are_said(tmp_path):
    images(tmp_path)
    write(tmp_path / "labels.csv", written([(*row, "F", 40) for row in ROWS], (*HEADER, "sex", "age")))
    assert recognise(tmp_path).reasons[0].endswith("columns not used: sex, age")


def test_classes_of_a_column_each_may_be_true_and_false(tmp_path):
    images(tmp_path)
    rows = [(row[0], *(number % 3 == kind for kind in range(3))) for number, row in enumerate(ROWS)]
    write(tmp_path / "labels.csv", written(rows, ("image", "MEL", "NV", "BCC")))
    table, _ = opened(tmp_path)
    assert table.classes == ("MEL", "NV", "BCC")
    assert table.frame["label"].tolist() == [0, 1, 2] * 2


def test_probabilities_are_no_classes(tmp_path):
    images(tmp_path)
    chances = [(0.1 + number / 50, 0.2, 0.7 - number / 50) for number in range(6)]
    rows = [(row[0], *chance) for row, chance in zip(ROWS, chances, strict=True)]
    write(tmp_path / "labels.csv", written(rows, ("image", "MEL", "NV", "BCC")))
    with pytest.raises(UserError, match="holds probabilities in the columns MEL, NV, BCC"):
        recognise(tmp_path)


def test_findings_of_which_an_image_has_several_are_multi_label(tmp_path):
    images(tmp_path)
    marks = [("1.0", "", "-1.0"), ("0.0", "1.0", "1.0")] * 3
    rows = [(row[0], "FM"[number % 2], *mark) for number, (row, mark) in enumerate(zip(ROWS, marks, strict=True))]
    write(tmp_path / "labels.csv", written(rows, ("Path", "Sex", "Cardiomegaly", "Edema", "Effusion")))
    with pytest.raises(UserError, match="columns Cardiomegaly, Edema, Effusion, so it is multi-label"):
        recognise(tmp_path)


def test_of_several_tables_one_can_be_given_instead_of_the_folder(tmp_path):
    images(tmp_path / "Input")
    truth = [(row[0][:-4], *(int(number % 3 == kind) for kind in range(3))) for number, row in enumerate(ROWS)]
    write(tmp_path / "truth.csv", written(truth, ("image", "MEL", "NV", "BCC")))
    write(tmp_path / "meta.csv", written([(row[0][:-4], *row[1:]) for row in ROWS]))
    with pytest.raises(UserError, match=r"give one instead of the folder, for example .*meta\.csv"):
        recognise(tmp_path)
    found = recognise(tmp_path / "truth.csv")
    assert open_source(found.key, str(tmp_path / "truth.csv"), found.options).classes == ("MEL", "NV", "BCC")


@pytest.mark.parametrize(
    ("labels", "is_refused"),
    [
        (("Mass", "Mass|Nodule", "None"), True),
        (("Mass", "Nodule", "Mass, Nodule"), True),
        (("in situ, low", "in situ, high", "none"), False),
        (("a|b", "c|d", "e"), False),
    ],
)
def test_several_classes_in_one_cell_are_multi_label(tmp_path, labels, is_refused):
    images(tmp_path)
    write(tmp_path / "labels.csv", written([(row[0], "P", f'"{labels[n % 3]}"') for n, row in enumerate(ROWS)]))
    if not is_refused:
        assert set(opened(tmp_path)[0].classes) == set(labels)
        return
    with pytest.raises(UserError, match=r"has several classes in 2 cells, for example .* that is multi-label"):
        open_source("table", str(tmp_path), {"label": "label"})
    assert len(open_source("table", str(tmp_path), {"label": "label", "classes": sorted(labels)}).classes) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.assign(label=frame["label"].astype("category")),
        lambda frame: frame.set_index("image"),
        lambda frame: frame.assign(patient=frame["patient"].astype("string")),
    ],
    ids=["categories", "images as index", "strings"],
)
def test_parquet_of_any_types(tmp_path, change):
    change(pd.DataFrame(ROWS, columns=HEADER)).to_parquet(images(tmp_path) / "labels.parquet")
    table, _ = opened(tmp_path)
    assert table.frame["label"].tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read: it is empty"),
        (b"PK\x03\x04\x14\0" + bytes(range(99)), "spreadsheet of Excel"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"\n<!DOCTYPE html>\n<html><body>log in, please</body></html>", r"web page \(HTML\)"),
        (b"image,label\n", "has no rows below its first line"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, content, message):
    images(tmp_path)
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        recognise(tmp_path)


@pytest.mark.parametrize("other", [unicodedata.normalize("NFD", "bösartig"), "bös\u200bartig", "\ufeffbösartig"])
def test_labels_that_look_alike_are_named(tmp_path, other):
    images(tmp_path)
    labels = ["gut", "bösartig", other] * 2
    write(tmp_path / "labels.csv", written([(*row[:2], label) for row, label in zip(ROWS, labels, strict=True)]))
    with pytest.raises(UserError, match="labels that differ only in case, blanks or the form"):
        open_source("table", str(tmp_path), {"label": "label"})


def test_names_with_dots_are_no_endings(tmp_path):
    names = [f"TCGA.A1.s{number}" for number in range(6)]
    images(tmp_path / "tiles", *(f"{name}.png" for name in names))
    write(tmp_path / "labels.csv", written([(name, "P", "xy"[n % 2]) for n, name in enumerate(names)]))
    assert opened(tmp_path)[0].frame["id"].tolist() == names


def test_a_table_may_name_images_beside_its_folder(tmp_path):
    images(tmp_path / "images")
    table = write(tmp_path / "meta" / "LABELS.CSV", written([(f"../images/{row[0]}", *row[1:]) for row in ROWS]))
    found = recognise(table)
    assert len(open_source(found.key, str(table), found.options)) == 6


def test_what_is_said_of_images_is_not_their_class(tmp_path):
    images(tmp_path)
    rows = [(row[0], "MF"[number % 2], ("png", "jpg", "gif")[number % 3], row[2]) for number, row in enumerate(ROWS)]
    write(tmp_path / "labels.csv", written(rows, ("image", "sex", "image_type", "atypia")))
    assert recognise(tmp_path).options["label"] == "atypia"


def test_one_class_alone_is_named(tmp_path):
    images(tmp_path)
    write(tmp_path / "labels.csv", written([(*row[:2], "benign") for row in ROWS]))
    with pytest.raises(UserError, match=r"column label of labels\.csv has one class, 'benign'"):
        recognise(tmp_path)


def test_a_table_beside_images_and_masks_is_said_not_to_be_read(tmp_path):
    pairs(tmp_path)
    write(tmp_path / "patients.csv", "image,age\n1,2\n")
    assert recognise(tmp_path).reasons[-1] == "patients.csv beside it: not read; --source table reads it"


def test_patients_are_called_in_several_ways(tmp_path):
    images(tmp_path)
    write(tmp_path / "labels.csv", written(header=("Datei", "Pat-Nr.", "Diagnose"), separator=";"))
    assert recognise(tmp_path).options == {"image": "Datei", "group": "Pat-Nr.", "label": "Diagnose"}


@pytest.mark.parametrize("folders", [("images", "masks"), ("a", "b"), ("", "")])
def test_masks_of_few_images_are_no_classes(tmp_path, folders):
    rows = []
    for number in range(8):
        image, mask = f"{number}.png", f"{number}.png" if folders[0] else f"{number}_m.png"
        save_image(tmp_path / folders[0] / image, seed=number)
        if number < 3:
            save_image(tmp_path / folders[1] / mask, seed=number)
        rows.append((image, mask if number < 3 else ""))
    write(tmp_path / "list.csv", written(rows, ("file", "mask")))
    options = recognise(tmp_path / "list.csv").options
    assert (options["image"], options["mask"]) == ("file", "mask")
    assert (options.get("image_folder", ""), options.get("mask_folder", "")) == folders
