"""Files become pixels as in the training of the run, to the bit, also where its recipe says how."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from preceptor.data.pixels import PixelRules
from preceptor.deploy.export import Options, export
from preceptor.deploy.images import Item, find_images
from preceptor.deploy.pieces import pieces_of
from preceptor.deploy.plan import Pictures
from preceptor.deploy.predict import predict
from preceptor.deploy.predictor import open_predictor
from preceptor.opened_run import open_run

from ..data.pixels.test_dicom import save as dicom_file
from .conftest import RESNET, trained
from .test_export import require_same_table, run_script

OPTIONS = {
    "12 bits": {"channels": 1, "options": {"bits": 12}},
    "percentiles, 16 bits": {"depth": 16, "options": {"percentiles": [1, 99]}},
}


def deep_folders(root):
    """Two classes of grey PNGs with 12 of 16 bits in use, some of them turned by their tag."""
    rng = np.random.default_rng(0)
    for number in range(30):
        folder = root / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 2048, (30, 40), dtype=np.uint16)
        pixels[:10] += 2000 * (number % 2)
        exif = Image.Exif()
        exif[274] = 6 if number % 3 else 1
        Image.fromarray(pixels).save(folder / f"{number}.png", exif=exif)
    return root


@pytest.mark.parametrize("name", ["12 bits", pytest.param("percentiles, 16 bits", marks=pytest.mark.slow)])
def test_a_run_predicts_as_it_was_trained_and_so_does_its_bundle(name, tmp_path):
    images = deep_folders(tmp_path / "images")
    run = trained(tmp_path / "run", images, RESNET, data=OPTIONS[name])
    predictor = open_predictor(run, device="cpu")
    packed = open_run(run).data().packed
    for row in range(len(packed)):
        path = images / f"{packed.frame['id'][row]}.png"
        (item,) = find_images([path], predictor.contract.reading)
        (answered,) = predictor.rows([item])
        (seen,) = pieces_of(item.name, answered.pixels, predictor.contract).pixels
        np.testing.assert_array_equal(seen, packed.images.read(np.array([row]))[0])
        assert seen.dtype == (np.uint16 if packed.depth == 16 else np.uint8)

    table = pd.read_csv(run / "predictions" / "test.csv", dtype={"id": str}).set_index("id")
    found = predict(run, [images], tmp_path / "out", pictures=Pictures(cam=True), device="cpu")
    own = found.set_index(found["file"].str.removesuffix(".png")).loc[table.index]
    np.testing.assert_allclose(own["p_class1"], table["p_1"], atol=2e-6)
    assert np.ptp(own["p_class1"]) > 1e-3

    export(run, tmp_path / "bundle", Options(int8="off"))
    require_same_table(run_script(tmp_path / "bundle", images, tmp_path / "alone"), found)
    again = predict(tmp_path / "bundle", [images], tmp_path / "ours", pictures=Pictures(), device="cpu")
    require_same_table(again, found)


def test_a_network_answers_on_dicom(class_run, tmp_path):
    """A film of two frames: each has an answer, that of its pixels as an image file."""
    values = np.random.default_rng(0).integers(0, 4096, (2, 30, 40))
    path = dicom_file(tmp_path / "film.dcm", values)
    Image.fromarray(np.rint(values[1] / 4095 * 255).astype(np.uint8)).save(tmp_path / "second.png")
    found = open_predictor(class_run, device="cpu").predict([path, tmp_path / "second.png"])
    assert found["file"].tolist() == ["film.dcm#0000", "film.dcm#0001", "second.png"]
    assert (found["error"] == "").all()
    assert found["p_class0"][1] == pytest.approx(found["p_class0"][2], abs=1e-6)


def test_frames_of_a_volume_are_rows_of_their_own(tmp_path):
    path = dicom_file(tmp_path / "film.dcm", np.arange(3 * 4 * 5).reshape(3, 4, 5))
    assert find_images([path], PixelRules(channels=1)) == [
        Item(f"film.dcm#{place:04d}", str(path), place) for place in range(3)
    ]
