"""``preceptor predict`` on runs: the run's own answers again, on whatever lies in a folder, also after a kill."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from preceptor.deploy import predict as module
from preceptor.deploy.plan import Pictures
from preceptor.deploy.predict import Hands, predict
from preceptor.deploy.predictor import open_predictor
from preceptor.measures import mask_counts

from ..command import preceptor

MASKS = Pictures(masks=True)


def own_predictions(run):
    table = pd.read_csv(run / "predictions" / "test.csv", dtype={"id": str})
    return table[table["network"] == "S1"].set_index("id")


def test_classes_are_those_of_evaluate(class_run, class_data, tmp_path):
    """A folder of PNG, JPEG and 16-bit TIFF of many sizes; every test image gets its own probabilities again."""
    found = predict(class_run, [class_data], tmp_path / "out", pictures=Pictures(), device="cpu")
    assert list(found.columns) == ["file", "label", "p_class0", "p_class1", "abstained", "outside", "error"]
    assert len(found) == 48
    expected = own_predictions(class_run)
    stems = found.set_index(found["file"].map(lambda name: Path(name).stem))
    rows = stems.loc[[Path(name).stem for name in expected.index]]
    own = expected[["p_0", "p_1"]].to_numpy()
    assert np.ptp(own[:, 0]) > 0.01, "answers that are all the same compare nothing"
    np.testing.assert_allclose(rows[["p_class0", "p_class1"]].to_numpy(), own, atol=2e-6)
    assert (rows["label"].to_numpy() == np.array(["class0", "class1"])[own.argmax(axis=1)]).all()


def test_masks_are_those_of_evaluate(mask_run, mask_data, tmp_path):
    """Tiles that overlap, images smaller than a tile: pixel counts against the truth are the run's own."""
    predict(
        mask_run, [mask_data / "images"], tmp_path / "out", pictures=Pictures(masks=True, overlay=True), device="cpu"
    )
    for name, counts in own_predictions(mask_run).iterrows():
        mask = np.array(Image.open(tmp_path / "out" / "masks" / f"{Path(name).stem}.png.png"))
        truth = np.array(Image.open(mask_data / "masks" / f"{Path(name).stem}.png"))
        assert mask.shape == truth.shape
        assert set(np.unique(mask)) <= {0, 255}
        found = mask_counts((mask > 0)[None].astype(np.int64), (truth > 0)[None].astype(np.int64), classes=2)[0]
        assert found.ravel().tolist() == counts[["tp", "fp", "fn", "tn"]].tolist()
        drawn = np.array(Image.open(tmp_path / "out" / "overlays" / f"{Path(name).stem}.png.png"))
        image = np.array(Image.open(mask_data / "images" / f"{Path(name).stem}.png"))
        assert (drawn == image).all(axis=-1)[mask == 0].all()
    table = pd.read_csv(tmp_path / "out" / "predictions.csv")
    assert list(table.columns) == ["file", "label", "p_background", "p_foreground", "abstained", "outside", "error"]
    np.testing.assert_allclose(table["p_background"] + table["p_foreground"], 1, atol=1e-6)


def test_from_python(class_run, class_data):
    """As the page of a notebook asks: a table, without a folder."""
    files = sorted(class_data.rglob("*.png"))[:3]
    found = open_predictor(class_run, device="cpu").predict(files)
    assert found["file"].tolist() == [file.name for file in files]
    np.testing.assert_allclose(found[["p_class0", "p_class1"]].sum(axis=1), 1)


def test_a_table_of_images_from_windows_with_a_mark_and_a_lost_file(class_run, class_data, tmp_path):
    (tmp_path / "sub").mkdir()
    shutil.copy(class_data / "class0" / "0.jpg", tmp_path / "sub" / "a.jpg")
    rows = "Image,age\nsub\\a.jpg,1\nlost.png,2\nC:\\images\\b.png,3\n"
    (tmp_path / "list.csv").write_text(rows, encoding="utf-8-sig")
    found = predict(class_run, [tmp_path / "list.csv"], tmp_path / "out", pictures=Pictures(), device="cpu")
    assert found["file"].tolist() == ["sub\\a.jpg", "lost.png", "C:\\images\\b.png"]
    assert found["error"].tolist()[0] == ""
    assert "does not exist" in found["error"].tolist()[1]
    assert "Windows" in found["error"].tolist()[2]


class Killed(BaseException):
    """As after ``kill -9``: nothing is cleaned up."""


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_killed_call_goes_on_to_the_same_bytes(after, mask_run, mask_data, tmp_path, monkeypatch):
    """Stopped after any part, also between a part's masks and its rows; leftovers of the killed process go."""
    images = [mask_data / "images"]
    predict(mask_run, images, tmp_path / "whole", pictures=MASKS, device="cpu")
    real, done = module.do_part, []

    def dying(out, number, task, predictor):
        if len(done) == after:
            file = out / "masks" / ".0.png.png.4711.part"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(b"half")
            raise Killed
        done.append(number)
        real(out, number, task, predictor)

    with monkeypatch.context() as patch:
        patch.setattr(module, "do_part", dying)
        with pytest.raises(Killed):
            predict(mask_run, images, tmp_path / "killed", pictures=MASKS, device="cpu")
    assert not (tmp_path / "killed" / "predictions.csv").exists()
    counted = []
    predict(mask_run, images, tmp_path / "killed", pictures=MASKS, device="cpu", watch=lambda *at: counted.append(at))
    assert counted[0] == (after, 3)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files if path.name != "plan.json"} | {
        path.name: None for path in files if path.name == "plan.json"
    }


def test_other_images_another_network_and_other_things_are_refused(class_run, class_data, tmp_path):
    out = tmp_path / "out"
    predict(class_run, [class_data / "class0"], out, pictures=Pictures(), device="cpu")
    again = preceptor("predict", class_run, class_data / "class1", "--out", out, "--device", "cpu")
    assert again.code == 2
    assert "24 images, and these 24 are others" in again.error
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.doc").touch()
    for wrong, words in ((tmp_path / "mine", "holds other things"), (class_data / "class0", "folder of the data")):
        refused = preceptor("predict", class_run, class_data / "class0", "--out", wrong, "--device", "cpu")
        assert refused.code == 2
        assert words in refused.error


def test_views_of_a_symmetric_image_change_nothing_and_a_map_shows_a_place(class_run, tmp_path):
    """All eight views of a constant image are the image, so that their mean is its answer."""
    Image.new("RGB", (24, 24), (200, 30, 90)).save(tmp_path / "plain.png")
    plain = open_predictor(class_run, device="cpu").predict([tmp_path / "plain.png"])
    views = open_predictor(class_run, device="cpu", tta=True).predict([tmp_path / "plain.png"])
    np.testing.assert_allclose(views["p_class0"], plain["p_class0"], atol=1e-6)
    predict(class_run, [tmp_path / "plain.png"], tmp_path / "out", pictures=Pictures(cam=True), device="cpu")
    with Image.open(tmp_path / "out" / "cam" / "plain.png.png") as drawn:
        assert drawn.size == (24, 24)


@pytest.mark.slow
def test_several_workers_give_the_same_bytes(mask_run, mask_data, tmp_path):
    for workers in (1, 2):
        predict(
            mask_run,
            [mask_data / "images"],
            tmp_path / str(workers),
            pictures=MASKS,
            device="cpu",
            hands=Hands(workers),
        )
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


@pytest.mark.slow
def test_a_ray_cluster_of_this_machine_gives_the_same_bytes(mask_run, mask_data, tmp_path, monkeypatch):
    """Where Ray is installed: a cluster that begins and ends with the call."""
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    for name, hands in (("plain", Hands(1)), ("ray", Hands(ray="local"))):
        predict(mask_run, [mask_data / "images"], tmp_path / name, pictures=MASKS, device="cpu", hands=hands)
    assert contents(tmp_path / "plain") == contents(tmp_path / "ray")
