"""A bundle's operating points and its input guard: fitted on validation, the same in its own script."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from preceptor.data.stains import unmixing
from preceptor.deploy.alone import predict as script
from preceptor.deploy.answers import class_answer
from preceptor.deploy.contract import Contract
from preceptor.deploy.export import Options, export
from preceptor.deploy.images import find_images
from preceptor.deploy.looks import Ranges, looks_of
from preceptor.deploy.plan import Pictures
from preceptor.deploy.points import Points
from preceptor.deploy.predict import predict
from preceptor.deploy.predictor import open_predictor
from preceptor.errors import UserError

from ..command import preceptor
from .conftest import RESNET, trained
from .pictures import coloured
from .test_export import run_script


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A run with 240 validation images, of which a third shows nothing of its class."""
    root, rng = tmp_path_factory.mktemp("many"), np.random.default_rng(0)
    for number in range(600):
        folder = root / "images" / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        shown = 2 if rng.random() < 0.3 else number % 2
        Image.fromarray(coloured(rng, shown, (24, 24))).save(folder / f"{number}.png")
    run = trained(
        root / "run",
        root / "images",
        RESNET,
        split={"by": "image", "fractions": [0.4, 0.4, 0.2]},
        training={"epochs": 3, "batch_size": 32, "lr": 0.005, "threads": 1},
    )
    export(run, root / "bundle", Options(int8="off", sensitivity=0.9, abstain=0.08))
    return root


def test_what_is_fitted_and_said(many):
    facts = json.loads((many / "bundle" / "bundle.json").read_text())
    assert facts["fitted"]["images"] == 240
    assert facts["fitted"]["temperature"]["low"] < facts["temperature"] < facts["fitted"]["temperature"]["high"]
    second = facts["thresholds"]["by_class"][1]
    assert facts["thresholds"]["rule"] == "sensitivity 0.9"
    assert facts["thresholds"]["decides"] == second["threshold"]["value"]
    assert second["sensitivity"]["value"] >= 0.9
    assert second["positives"] + second["negatives"] == 240
    assert facts["abstention"]["risk"]["value"] <= 0.08
    assert facts["outside"]["seen"]["validation"] == 240
    card = (many / "bundle" / "README.md").read_text()
    assert "## Operating points" in card
    assert "of 240 validation images" in card
    assert f"{second['sensitivity']['value']:.3f}" in card


@pytest.mark.parametrize("calibrated", [(), ("--calibrated",)], ids=["own", "calibrated"])
def test_the_script_decides_abstains_and_warns_as_the_package_does(many, tmp_path, calibrated):
    images = many / "images" / "class0"
    strange = tmp_path / "strange"
    strange.mkdir()
    Image.new("RGB", (24, 24), (255, 255, 255)).save(strange / "white.png")
    Image.fromarray(coloured(np.random.default_rng(9), 1, (240, 24))).save(strange / "tall.png")
    ours = predict(
        many / "bundle", [images, strange], tmp_path / "ours", pictures=Pictures(), is_calibrated=bool(calibrated)
    ).set_index("file")
    assert 0 < ours["abstained"].sum() < len(ours)
    assert ours.loc["strange/white.png", "outside"] == 1
    assert ours.loc["strange/tall.png", "outside"] == 1
    assert ours["outside"].mean() < 0.1
    for folder in (images, strange):
        alone = run_script(many / "bundle", folder, tmp_path / folder.name, *calibrated)
        for row in alone.itertuples():
            own = ours.loc[f"{folder.name}/{row.file}"]
            assert (row.label, row.abstained, row.outside) == (own["label"], own["abstained"], own["outside"])
            assert row.p_class1 == pytest.approx(own["p_class1"], abs=1e-5)


def test_probabilities_are_the_runs_own_unless_calibrated_ones_are_wanted(many):
    """A bundle says what ``evaluate`` says of its run; what it decides by is there for the asking."""
    images = sorted((many / "images" / "class1").iterdir())[:5]
    run, bundle = (open_predictor(many / name, device="cpu").predict(images) for name in ("run", "bundle"))
    np.testing.assert_allclose(run["p_class1"], bundle["p_class1"], atol=1e-5)
    calibrated = open_predictor(many / "bundle", is_calibrated=True).predict(images)
    assert np.abs(calibrated["p_class1"] - bundle["p_class1"]).max() > 1e-3
    with pytest.raises(UserError, match="is no bundle, and only these have a temperature"):
        open_predictor(many / "run", is_calibrated=True)


def test_a_threshold_decides_and_doubt_is_marked():
    contract = Contract(task="classification", classes=("no", "yes"), image_size=(8, 8))
    logits = np.log(np.array([0.7, 0.3], dtype=np.float32))
    assert class_answer(logits, contract, Points(), is_calibrated=False).label == "no"
    answer = class_answer(logits, contract, Points(threshold=0.2, least=0.6), is_calibrated=False)
    assert (answer.label, answer.abstained) == ("yes", True)
    assert answer.shares == pytest.approx((0.7, 0.3))


def test_few_images_and_masks_have_no_points(class_run, mask_run, tmp_path):
    said = []
    bundle = export(class_run, tmp_path / "few", Options(int8="off"), note=said.append)
    assert (bundle.points, bundle.facts["thresholds"]) == (Points(), None)
    assert any("is fitted on fewer than 200" in line for line in said)
    refused = preceptor("export", mask_run, "--out", tmp_path / "b", "--int8", "off", "--abstain", "0.1")
    assert refused.code == 2
    assert "--abstain is for classes" in refused.error


def test_a_risk_that_no_certainty_reaches_is_refused(many, tmp_path, monkeypatch):
    def unfit(*given, **named):
        raise ValueError("however certain, 7.0 % or more of the answers are wrong")

    monkeypatch.setattr("preceptor.deploy.fitted.fitted_points", unfit)
    with pytest.raises(UserError, match=r"--abstain 0.01: on validation, however certain.*give a larger share"):
        export(many / "run", tmp_path / "b", Options(int8="off", abstain=0.01))
    assert not (tmp_path / "b").exists()


def test_unfamiliar_images_and_other_pixel_sizes_are_outside(many, class_run, class_data, tmp_path):
    """Noise with the brightness and the colours of training; a file of twice the pixels per millimetre."""
    facts = json.loads((many / "bundle" / "bundle.json").read_text())
    assert facts["outside"]["seen"]["validation_outside"] < 24
    assert facts["input"]["microns_per_pixel"] is None
    predictor, rng = open_predictor(many / "bundle"), np.random.default_rng(2)
    (tmp_path / "images").mkdir()
    known = [np.array(Image.open(path)) for path in sorted((many / "images" / "class0").iterdir())[:6]]
    for number, image in enumerate(known):
        Image.fromarray(rng.permuted(image, axis=0)).save(tmp_path / "images" / f"{number}.png")
    found = predictor.rows(find_images([tmp_path / "images"]))
    assert {name for row in found for name in row.outside} == {"embedding distance"}
    alone = run_script(many / "bundle", tmp_path / "images", tmp_path / "alone")
    assert alone["outside"].tolist() == [int(bool(row.outside)) for row in found]

    bundle = export(class_run, tmp_path / "sized", Options(int8="off"))
    assert bundle.facts["input"]["microns_per_pixel"] == pytest.approx(0.5)
    values = tifffile.imread(class_data / "class0" / "6.tif")
    for name, dots in (("same", 20_000), ("nearly", 21_000), ("finer", 40_000)):
        file = tmp_path / "sizes" / f"{name}.tif"
        file.parent.mkdir(exist_ok=True)
        tifffile.imwrite(file, values, resolution=(dots, dots), resolutionunit=3)
    rows = open_predictor(tmp_path / "sized").rows(find_images([tmp_path / "sizes"]))
    assert {row.name: row.outside for row in rows} == {
        "same.tif": (), "nearly.tif": (), "finer.tif": ("microns per pixel",),
    }  # fmt: skip
    assert run_script(tmp_path / "sized", tmp_path / "sizes", tmp_path / "s")["outside"].tolist() == [1, 0, 0]
    with pytest.raises(UserError, match=r"--mpp 0\.25: the files of the training images say 0\.5 to 0\.5 microns"):
        export(class_run, tmp_path / "b", Options(int8="off", mpp=0.25))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_script_sees_the_same_looks(channels):
    image = np.random.default_rng(0).integers(0, 256, (9, 7, channels), dtype=np.uint8)
    looks = looks_of([image], (9, 7))
    assert (looks["short side"], looks["long side"]) == (7, 9)
    for name, value in looks.items():
        for ends, wanted in (((value - 1e-9, value + 1e-9), 0), ((value + 1e-9, value + 1), 1)):
            facts = {"outside": {"ranges": {name: ends}, "unmixing": unmixing().tolist()}}
            assert script.outside([image], image, facts, {}) == wanted
            assert Ranges({name: ends}).left(looks) == ((name,) if wanted else ())


def test_stain_is_the_amount_that_was_put_in():
    """Light through 0.8 of haematoxylin and 0.3 of eosin, by the law of Beer and Lambert."""
    from preceptor.data.stains import stain_basis

    light = np.exp(-(0.8 * stain_basis()[0] + 0.3 * stain_basis()[1]))
    image = np.rint(65535 * np.tile(light, (4, 4, 1))).astype(np.uint16)
    looks = looks_of([image], (4, 4))
    assert looks["haematoxylin"] == pytest.approx(0.8, abs=1e-3)
    assert looks["eosin"] == pytest.approx(0.3, abs=1e-3)
