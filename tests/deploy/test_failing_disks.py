"""Full disks, folders that cannot be written, images that vanish midway: one clear error or a row, no halves."""

import errno
import hashlib
import json
import os
import runpy
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from preceptor.deploy.export import Options, export
from preceptor.deploy.plan import Pictures
from preceptor.deploy.predict import predict, read_answers

from ..command import preceptor
from ..data.damage import unwritable

PLAIN = Options(int8="off")


@pytest.fixture(scope="module")
def bundle(mask_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "b"
    export(mask_run, folder, PLAIN)
    return folder


@pytest.fixture
def images(mask_data, tmp_path):
    """A few images of the test's own."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(10):
        shutil.copy(mask_data / "images" / f"{number}.png", folder)
    return folder


def fill_disk(patch, suffix, *, after=0):
    """From now on the disk is full in the middle of a file whose name ends so, ``after`` of them fit."""
    opened, seen = open, []

    def full(file, mode="r", *more, **options):
        found = opened(file, mode, *more, **options)
        if "w" in mode and isinstance(file, str | Path) and suffix in Path(file).name:
            seen.append(file)
            if len(seen) > after:
                with found:
                    found.write(b"half" if "b" in mode else "half")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return found

    patch.setattr("builtins.open", full)
    patch.setattr("io.open", full)  # pathlib's


def whole_files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def require_one_error(done, words):
    assert done.code == 2, done.error
    assert done.error.splitlines()[-1].startswith("error: ")
    assert words in done.error
    assert "Traceback" not in done.error
    assert "defect" not in done.error


FULL = {
    "the plan": ("plan.json", 0),
    "the first mask": (".png.png", 0),
    "the last mask of a part": (".png.png", 7),
    "the rows of a part": ("part-000001.csv", 0),
    "the table": ("predictions.csv", 0),
}
"""What is written as the disk gets full -> part of the file's name, and how many such files still fit."""


@pytest.mark.parametrize("what", FULL)
def test_predict_on_a_full_disk_goes_on_when_there_is_room(what, bundle, images, tmp_path, monkeypatch):
    name, after = FULL[what]
    command = ("predict", bundle, images, "--out", tmp_path / "out")
    with monkeypatch.context() as patch:
        fill_disk(patch, name, after=after)
        require_one_error(preceptor(*command), "No space left on device; free some space and give the same command")
    assert not (tmp_path / "out" / "predictions.csv").exists()
    assert not list((tmp_path / "out").rglob("*.part"))
    assert preceptor(*command).code == 0
    predict(bundle, [images], tmp_path / "whole", pictures=Pictures(masks=True))
    found, wanted = (whole_files(tmp_path / folder) for folder in ("out", "whole"))
    assert found == wanted


@pytest.mark.parametrize("what", ["model.onnx", "model.safetensors", "README.md", "bundle.json", "larger.png"])
def test_export_on_a_full_disk_leaves_nothing(what, mask_run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        fill_disk(patch, what)
        done = preceptor("export", mask_run, "--out", tmp_path / "b", "--int8", "off")
    require_one_error(done, f"{tmp_path / 'b'}: No space left on device; free some space")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("begun", [False, True])
def test_predict_into_a_folder_that_cannot_be_written(begun, bundle, images, tmp_path):
    out = tmp_path / "place" / "out"
    out.parent.mkdir()
    if begun:
        predict(bundle, [images], out, pictures=Pictures(masks=True))
        (out / "predictions.csv").unlink()
    before = whole_files(out.parent)
    with unwritable(out.parent):
        require_one_error(
            preceptor("predict", bundle, images, "--out", out), "Permission denied; check its permissions"
        )
        assert whole_files(out.parent) == before


def test_export_into_a_folder_that_cannot_be_written(mask_run, tmp_path):
    (tmp_path / "place").mkdir()
    with unwritable(tmp_path / "place"):
        done = preceptor("export", mask_run, "--out", tmp_path / "place" / "b", "--int8", "off")
    require_one_error(done, f"{tmp_path / 'place' / 'b'}: Permission denied; check its permissions")
    assert list((tmp_path / "place").iterdir()) == []


def test_an_image_that_vanishes_midway_is_a_row(bundle, images, tmp_path, monkeypatch):
    """It was there when the folder was read, and is gone when its turn comes."""
    monkeypatch.setattr("preceptor.deploy.predict.stamps_of", lambda items: vanish(items, images / "3.png"))
    done = preceptor("predict", bundle, images, "--out", tmp_path / "out")
    assert (done.code, done.error) == (0, "")
    assert "no answer on 3.png: image does not exist" in done.out
    rows = read_answers(tmp_path / "out").set_index("file")
    assert (rows["error"] != "").tolist() == [name == "3.png" for name in rows.index]


def vanish(items, path):
    path.unlink()
    return tuple((1, 1) for _ in items)


def test_a_golden_image_that_is_not_there_is_named(mask_run, tmp_path):
    done = preceptor("export", mask_run, "--out", tmp_path / "b", "--golden", tmp_path / "gone.png")
    require_one_error(done, "gone.png")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_embedding_that_had_not_begun_blocks_nothing(mask_run, images, tmp_path):
    """Killed while its plan was written; no process has that number."""
    (tmp_path / "out" / ".embed").mkdir(parents=True)
    (tmp_path / "out" / ".embed" / ".plan.json.999999999.part").write_bytes(b"half")
    done = preceptor("embed", mask_run, images, "--out", tmp_path / "out", "--what", "embedding")
    assert "holds other things" not in done.error


# The bundle's own script -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    code: object
    error: str


@pytest.fixture
def script(monkeypatch, capsys):
    """``script(bundle, folder, out)`` runs the bundle's predict.py in this process, where disks are full by patches."""

    def run(bundle, folder, out):
        code: object = 0
        with monkeypatch.context() as patch:
            patch.setattr(sys, "path", list(sys.path))
            patch.setattr(sys, "argv", ["predict.py", str(folder), "--out", str(out)])
            patch.delitem(sys.modules, "pixels", raising=False)
            try:
                runpy.run_path(str(bundle / "predict.py"), run_name="__main__")
            except SystemExit as end:
                code = end.code
        sys.modules.pop("pixels", None)
        return Said(code, capsys.readouterr().err)

    return run


def edit(name, change):
    def make(bundle):
        (bundle / name).write_bytes(change((bundle / name).read_bytes()))

    return make


def own_model(bundle):
    """A model that is no ONNX file, with the checksum that it has."""
    (bundle / "model.onnx").write_bytes(b"no model")
    facts = json.loads((bundle / "bundle.json").read_text())
    facts["files"]["model.onnx"] = hashlib.sha256(b"no model").hexdigest()
    (bundle / "bundle.json").write_text(json.dumps(facts))


BAD = {
    "cut short": (edit("bundle.json", lambda content: content[:90]), "bundle.json was cut short or changed"),
    "newer schema": (
        edit("bundle.json", lambda content: content.replace(b'"schema": 1', b'"schema": 2')),
        "bundle.json and predict.py are of different versions",
    ),
    "no model": (lambda bundle: (bundle / "model.onnx").unlink(), "No such file or directory"),
    "no bundle.json": (lambda bundle: (bundle / "bundle.json").unlink(), "No such file or directory"),
    "another model": (edit("model.onnx", lambda content: b"other"), "model.onnx was changed or damaged"),
    "a model that cannot be opened": (own_model, "cannot open model.onnx"),
}
"""Name -> what is wrong with the bundle, and what its script says of it."""


def require_one_line(said, words):
    assert said.code == 2
    assert len(said.error.splitlines()) == 1, said.error
    assert said.error.startswith("error: ")
    assert words in said.error


@pytest.mark.parametrize("case", BAD)
def test_the_script_of_a_bad_bundle(case, bundle, images, tmp_path, script):
    change, words = BAD[case]
    bundle = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    change(bundle)
    require_one_line(script(bundle, images, tmp_path / "out"), words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["4.png.png", "predictions.csv"])
def test_the_script_on_a_full_disk(name, bundle, images, tmp_path, script, monkeypatch):
    with monkeypatch.context() as patch:
        fill_disk(patch, name)
        require_one_line(script(bundle, images, tmp_path / "out"), "No space left on device")
    assert not (tmp_path / "out" / "predictions.csv").exists()
    assert not list((tmp_path / "out").rglob("*.part"))
    assert script(bundle, images, tmp_path / "out").code == 0


def test_the_script_without_images(bundle, tmp_path, script):
    require_one_line(script(bundle, tmp_path / "nowhere", tmp_path / "out"), "no image in")


@pytest.mark.parametrize("kind", ["cannot be written", "is a file"])
def test_the_script_where_out_is_no_place_to_write(kind, bundle, images, tmp_path, script):
    place = tmp_path / "place"
    if kind == "is a file":
        place.write_text("mine")
        require_one_line(script(bundle, images, place), str(place))
        assert place.read_text() == "mine"
        return
    place.mkdir()
    with unwritable(place):
        require_one_line(script(bundle, images, place), str(place))
    assert list(place.iterdir()) == []


def test_the_script_gives_an_image_that_vanishes_its_row(bundle, images, tmp_path, script, monkeypatch):
    opened = Image.open

    def opening(path, *more, **options):
        if Path(path).name == "3.png":
            Path(path).unlink(missing_ok=True)
        return opened(path, *more, **options)

    monkeypatch.setattr(Image, "open", opening)
    said = script(bundle, images, tmp_path / "out")
    assert (said.code, said.error) == (0, "")
    rows = read_answers(tmp_path / "out").set_index("file")
    assert "No such file" in rows.loc["3.png", "error"]
    assert (rows["error"] != "").sum() == 1


def test_links_in_circles_and_folders_called_like_images(bundle, images, tmp_path, script):
    """Neither is entered or asked."""
    (images / "loop").symlink_to(images)
    (images / "loop.png").symlink_to(images)
    (images / "folder.png").mkdir()
    assert script(bundle, images, tmp_path / "alone").code == 0
    assert preceptor("predict", bundle, images, "--out", tmp_path / "ours").code == 0
    for who in ("alone", "ours"):
        assert read_answers(tmp_path / who)["file"].tolist() == [f"{number}.png" for number in range(10)]
