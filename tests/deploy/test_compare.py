"""Two models on the same labelled images, and data whose classes are called otherwise."""

import shutil

import numpy as np
import pandas as pd
import pytest

from preceptor.deploy.compare import compare_networks
from preceptor.deploy.export import Options, export
from preceptor.deploy.plan import Pictures
from preceptor.deploy.predict import predict
from preceptor.deploy.predictor import open_predictor
from preceptor.errors import UserError
from preceptor.opened_run import open_run

from ..command import preceptor
from .conftest import RESNET, trained
from .pictures import class_folders, deep_folders

ABROAD = "malignant: class1\nbenign: class0\nblurred: null\n"


@pytest.fixture(scope="module")
def abroad(class_data, tmp_path_factory):
    """The same images in folders of other names, and some that are of no class."""
    root = tmp_path_factory.mktemp("abroad")
    for name, now in (("class0", "benign"), ("class1", "malignant")):
        shutil.copytree(class_data / name, root / "images" / now)
    (root / "images" / "blurred").mkdir()
    shutil.copy(class_data / "class0" / "0.jpg", root / "images" / "blurred" / "b.jpg")
    (root / "classes.yaml").write_text(ABROAD)
    return root


def test_a_run_and_its_bundle_are_as_good(class_run, class_data, tmp_path):
    export(class_run, tmp_path / "bundle", Options(int8="off"))
    found = compare_networks(class_run, tmp_path / "bundle", str(class_data), device="cpu")
    accuracy = found.rows[0]
    assert found.samples == 48
    assert (accuracy.gap.value, accuracy.gap.low, accuracy.gap.high) == (0, 0, 0)
    own = pd.read_csv(class_run / "predictions" / "test.csv")
    assert 0 < accuracy.first < 1 or own.empty
    assert "is not worse than" in found.words
    said = preceptor("compare", class_run, tmp_path / "bundle", class_data, "--margin", "0.01", "--device", "cpu")
    assert said.code == 0
    assert "by more than 1 points" in said.out


def test_masks_are_compared_by_their_pixels(mask_run, mask_data):
    found = compare_networks(mask_run, mask_run, str(mask_data), device="cpu")
    assert found.rows[0].label == "IoU"
    assert found.samples == 20


def test_classifiers_of_tiles_are_compared_by_image(class_run, class_data, tmp_path):
    """A run on tiles and one on whole images: of an image counts the mean over its tiles."""
    tiles = trained(tmp_path / "tiles", class_data, RESNET, data={"tile": {"size": 32, "overlap": 0}})
    found = compare_networks(tiles, class_run, str(class_data), device="cpu")
    assert found.samples == 48
    assert "scores are of images, by the mean of their tiles' probabilities" in " ".join(found.notes)
    rows = open_predictor(tiles, device="cpu").predict([class_data])
    means = rows.groupby(rows["file"].str.split("@").str[0])[["p_class0", "p_class1"]].mean()
    right = means.to_numpy().argmax(axis=1) == [int(name.split("/")[0].removeprefix("class")) for name in means.index]
    assert found.rows[0].first == pytest.approx(np.mean(right))


def test_tables_are_compared_and_evaluated_where_the_recipe_knew_folders(class_run, class_data, tmp_path):
    """Another hospital has its labels in a CSV, and whoever trained on folders says so."""
    files = sorted(file for file in class_data.rglob("*.*") if file.is_file())
    lines = [f"{file.relative_to(class_data)},{file.parent.name},p{number % 7}" for number, file in enumerate(files)]
    table = class_data.parent / "labels.csv"
    table.write_text("Picture,Finding,Who\n" + "\n".join(lines) + "\n")
    options = {"image": "Picture", "label": "Finding", "group": "Who", "image_folder": class_data.name}
    options["grouping"] = "image of origin"
    given = [word for name, value in options.items() for word in ("--option", f"{name}={value}")]
    found = compare_networks(class_run, class_run, str(table), source="table", options=options, device="cpu")
    assert found.samples == 48
    assert "over 7 images of origin" in found.words
    assert any("images of origin may be of one patient" in note for note in found.notes)
    said = preceptor("compare", class_run, class_run, table, "--source", "table", *given, "--device", "cpu")
    assert said.code == 0, said.error
    plain = open_run(class_run).evaluate(data=str(class_data), device="cpu").scores["S1"]
    said = preceptor("evaluate", class_run, "--data", table, "--source", "table", *given, "--device", "cpu")
    assert said.code == 0, said.error
    assert f"{plain['accuracy']:.3f}" in said.out
    said = preceptor("evaluate", class_run, "--source", "table")
    assert (said.code, "give --data too" in said.error) == (2, True)


def test_other_names_for_classes(class_run, class_data, abroad):
    plain = open_run(class_run).evaluate(data=str(class_data), device="cpu").scores["S1"]
    said = preceptor(
        "evaluate", class_run, "--data", abroad / "images", "--map", abroad / "classes.yaml", "--device", "cpu"
    )
    assert said.code == 0, said.error
    assert f"{plain['accuracy']:.3f}" in said.out
    found = compare_networks(
        class_run, class_run, str(abroad / "images"), names={"malignant": "class1", "benign": "class0", "blurred": None}
    )
    assert found.samples == 48
    assert found.rows[0].first == pytest.approx(plain["accuracy"])
    assert found.notes[0] == "1 images are of classes that --map leaves out"


def test_a_newcomer_is_told_what_to_give(class_run, abroad, class_data):
    """Other data in another layout, then with other names."""
    table = class_data / "class0" / "0.jpg"
    said = preceptor("evaluate", class_run, "--data", table, "--device", "cpu")
    assert said.code == 2
    assert "give --source and --option: `preceptor data inspect" in said.error
    said = preceptor("evaluate", class_run, "--data", abroad / "images", "--device", "cpu")
    assert said.code == 2
    assert "Give --map with a line `name in the data: name in the run`" in said.error


BAD_MAPS = {
    "a list": ("- class0\n", "lines of `name in the data"),
    "a class forgotten": ("malignant: class1\nbenign: class0\n", "says nothing of class 'blurred'"),
    "a class that is not there": (ABROAD + "odd: class0\n", "names 'odd', which is no class of"),
    "to nowhere": (ABROAD.replace("class1", "class9"), "leads to 'class9', and the network knows class0, class1"),
    "nothing left": ("malignant: null\nbenign: null\nblurred: null\n", "leaves no image over"),
}


@pytest.mark.parametrize("case", BAD_MAPS)
def test_bad_maps(case, class_run, abroad, tmp_path):
    text, words = BAD_MAPS[case]
    (tmp_path / "map.yaml").write_text(text)
    said = preceptor("evaluate", class_run, "--data", abroad / "images", "--map", tmp_path / "map.yaml")
    assert said.code == 2
    assert words in said.error


def test_what_cannot_be_compared(class_run, mask_run, class_data, abroad):
    with pytest.raises(UserError, match="two models of the same classes were wanted"):
        compare_networks(class_run, mask_run, str(class_data), device="cpu")
    with pytest.raises(UserError, match=r"has class 'benign', and the models know class0, class1; give --map"):
        compare_networks(class_run, class_run, str(abroad / "images"), device="cpu")
    said = preceptor("evaluate", class_run, "--map", abroad / "classes.yaml")
    assert said.code == 2
    assert "give --data too" in said.error


@pytest.mark.slow
def test_the_card_says_whether_the_student_is_good_enough(class_data, tmp_path):
    networks = {"student": RESNET, "teacher": RESNET, "count": 1}
    run = trained(tmp_path / "run", class_data, RESNET, networks=networks, technique={"name": "kd_offline"})
    export(run, tmp_path / "bundle", Options(int8="off", margin=0.05))
    card = (tmp_path / "bundle" / "README.md").read_text()
    assert "its teacher" in card
    assert "5 points" in card


def test_images_of_training_are_said_to_be(class_run, mask_run, class_data, mask_data, tmp_path, capsys):
    """By their pixels, whatever they are called; of a bundle nobody knows; other images are not warned of."""
    split = pd.read_csv(class_run / "split.csv")
    count = int((split["split"] == "train").sum())
    moved = tmp_path / "moved"
    for number, file in enumerate(sorted(file for file in class_data.rglob("*.*") if file.is_file())):
        (moved / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, moved / file.parent.name / f"other{number}{file.suffix}")
    export(class_run, tmp_path / "bundle", Options(int8="off"))
    notes = " ".join(compare_networks(class_run, tmp_path / "bundle", str(moved), device="cpu").notes)
    assert f"{class_run} was trained on {count} of these 48 images" in notes
    assert f"{tmp_path / 'bundle'} does not say which images it was trained on" in notes
    said = preceptor("evaluate", class_run, "--data", moved, "--device", "cpu")
    assert f"was trained on {count} of these 48 images" in said.out
    count = int((pd.read_csv(mask_run / "split.csv").drop_duplicates("id")["split"] == "train").sum())
    notes = " ".join(compare_networks(mask_run, mask_run, str(mask_data), device="cpu").notes)
    assert notes.count("was trained on") == 1
    others = class_folders(tmp_path / "others", seed=77)
    assert not compare_networks(class_run, class_run, str(others), device="cpu").notes
    assert "trained on" not in preceptor("evaluate", class_run, "--data", others, "--device", "cpu").out


def test_other_data_are_read_by_the_percentiles_of_the_runs_own(tmp_path):
    """Other images that are twice as bright stay so: black and white are what they were in training."""
    own, brighter = (deep_folders(tmp_path / name, high) for name, high in (("own", 1000), ("brighter", 4000)))
    options = {"percentiles": [0, 100]}
    run = trained(tmp_path / "run", own, RESNET, data={"options": options, "resize": "squash"})
    opened = open_run(run)
    by_own = opened.evaluate(data=str(brighter), device="cpu").table
    found = predict(run, [brighter], tmp_path / "out", pictures=Pictures(), device="cpu")
    np.testing.assert_allclose(np.sort(by_own["p_0"]), np.sort(found["p_class0"]), atol=1e-5)
    given = opened.evaluate(data=str(brighter), options=options, device="cpu").table
    assert not np.allclose(np.sort(given["p_0"]), np.sort(by_own["p_0"]), atol=1e-3), "what is asked for is done"
