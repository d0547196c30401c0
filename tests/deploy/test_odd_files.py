"""What lies in folders: odd files are answered as they are seen, damaged ones are rows with their reason."""

import shutil
import zlib

import numpy as np
import pytest
from PIL import Image

from preceptor.deploy.export import Options, export
from preceptor.deploy.plan import Pictures
from preceptor.deploy.predict import predict

from ..command import preceptor
from .conftest import RESNET, trained
from .test_export import run_script
from .test_script import chunk

GOOD = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))


def turned(path):
    exif = Image.Exif()
    exif[274] = 6
    GOOD.save(path, exif=exif)


def film(path):
    GOOD.save(path, save_all=True, append_images=[GOOD.rotate(90)])


def huge(path, side=20_000):
    """A PNG of 400 million black pixels, which is 50 kB."""
    head = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    rows = zlib.compress(bytes(side * (1 + side // 8)), 1)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def cut(path):
    GOOD.save(path)
    path.write_bytes(path.read_bytes()[:900])


FILES = {
    "a good one.png": (GOOD.save, ""),
    "palette.png": (lambda path: GOOD.convert("P").save(path), ""),
    "cmyk.jpg": (lambda path: GOOD.convert("CMYK").save(path), ""),
    "dot.png": (lambda path: GOOD.resize((1, 1)).save(path), ""),
    "turned.jpg": (turned, ""),
    'a \N{MICROSCOPE}, ümläut: "quoted".png': (GOOD.save, ""),
    "empty.png": (lambda path: path.write_bytes(b""), "damaged or no image"),
    "text.jpg": (lambda path: path.write_text("no image"), "it is no PNG, JPEG"),
    "cut.png": (cut, "damaged or no image"),
    "film.webp": (film, "2 pages or frames"),
    "film.gif": (film, "2 pages or frames"),
    "huge.png": (huge, "is too large"),
    "lost.png": (lambda path: path.symlink_to(path.parent / "nowhere.png"), "which does not exist"),
    "circle.png": (lambda path: path.symlink_to(path), "is a link that leads back to itself"),
}
"""Name -> what writes it, and the reason for which there is no answer on it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("odd")
    for name, (make, _) in FILES.items():
        make(found / name)
    return found


@pytest.fixture(scope="module")
def answers(class_run, folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("answers")
    export(class_run, out / "bundle", Options(int8="off"))
    ours = predict(class_run, [folder], out / "ours", pictures=Pictures(), device="cpu").set_index("file")
    return ours, run_script(out / "bundle", folder, out / "alone").set_index("file")


@pytest.mark.parametrize("name", FILES)
def test_each_has_its_row(name, answers):
    _, reason = FILES[name]
    ours, alone = (table.loc[name] for table in answers)
    if reason:
        assert reason in ours["error"]
        assert alone["error"]
        assert (ours["label"], alone["label"]) == ("", "")
        assert np.isnan(ours["p_class0"])
    else:
        assert (ours["error"], alone["error"]) == ("", "")
        assert ours["p_class0"] == pytest.approx(alone["p_class0"], abs=1e-5)


def test_names_of_several_lines_are_refused_by_name(class_run, tmp_path):
    (tmp_path / "images").mkdir()
    GOOD.save(tmp_path / "images" / "a\nb.png")
    said = preceptor("predict", class_run, tmp_path / "images", "--out", tmp_path / "out", "--device", "cpu")
    assert said.code == 2
    assert "a\\nb.png" in said.error


@pytest.mark.slow
def test_classes_of_any_name_are_columns(class_data, tmp_path):
    """A colon, which makes a tree in QuPath, and a comma and quotes, which mean something in CSV."""
    names = ("tumour: grade 1, 2", 'so-called "other"')
    for number, name in enumerate(names):
        shutil.copytree(class_data / f"class{number}", tmp_path / "images" / name)
    run = trained(tmp_path / "run", tmp_path / "images", RESNET)
    export(run, tmp_path / "bundle", Options(int8="off"))
    ours = predict(run, [tmp_path / "images"], tmp_path / "ours", pictures=Pictures(), device="cpu")
    alone = run_script(tmp_path / "bundle", tmp_path / "images", tmp_path / "alone")
    assert list(ours.columns) == list(alone.columns)
    assert {f"p_{name}" for name in names} < set(ours.columns)
    assert ours["label"].tolist() == alone["label"].tolist()
    assert set(ours["label"]) <= set(names)
