"""``preceptor data``: the text it prints, and its errors."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from preceptor.cli.data import app, parse_options
from preceptor.data.published import Published, Remote
from preceptor.errors import UserError


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(4):
            Image.fromarray(rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)).save(tmp_path / name / f"p{number}.png")
    return tmp_path


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_inspect_prints_everything(images):
    shutil.copy(images / "cat" / "p0.png", images / "dog" / "p0.png")
    (images / "cat" / "p1.png").write_bytes(b"")
    text = run("inspect", str(images), "--option", "group=p\\d", "--option", "grouping=patient").stdout
    for line in (
        "source     folder",
        "group: p\\d",
        "task       classification, 2 classes",
        "images     8, 1 damaged",
        "sizes      height x width 8 x 9 (7)",
        "groups     by patient: 4 patients, 2 to 2 images each, median 2",
        "1 sets of images with equal pixels: 1 with different labels",
        "cat/p0 = dog/p0: cat, dog (different labels)",
        "p1.png' is damaged",
    ):
        assert line in text, text


def test_inspect_says_once_what_to_do_about_what_is_damaged(images):
    for number in range(2):
        (images / "cat" / f"p{number}.png").unlink()
        tifffile.imwrite(images / "cat" / f"p{number}.tif", np.int16([[-5 - number, 7]]))
    text = run("inspect", str(images)).stdout
    assert text.count("what to do: set data.options.range to [black, white]") == 1


def test_inspect_without_groups_says_so(images):
    text = run("inspect", str(images), "--source", "folder").stdout
    assert "groups     none known: samples of one patient cannot be kept together" in text
    assert "\na run would split\n  by image:" in text


def test_inspect_as_json_with_a_contact_sheet(images):
    (images / "cat" / "p1.png").write_bytes(b"")
    (images / "dog" / "notes.txt").write_text("x")
    done = run("inspect", str(images), "--json", "--look", str(images / "sheet.html"))
    found = json.loads(done.stdout)
    assert (found["source"], found["classes"], list(found["damaged"])) == ("folder", ["cat", "dog"], ["cat/p1"])
    files = found["files"]
    unused = sum(map(len, files["unused"].values()))
    assert files["total"] == files["images"] + files["masks"] + len(files["read"]) + unused == 9
    assert found["next"] == f"preceptor init {images}"
    assert (images / "sheet.html").is_file()
    assert "contact sheet" in done.stderr
    with pytest.raises(UserError, match="give a file that ends in"):
        run("inspect", str(images), "--look", "sheet.jpg")


def test_inspect_says_what_was_not_used(images):
    (images / "dog" / "notes.txt").write_text("x")
    text = run("inspect", str(images)).stdout
    assert f"files      9 below {images} = 8 images + 1 not used (see below)" in text
    assert "1 no images by their endings (.txt 1): dog/notes.txt" in text
    assert f"\nnext\n  preceptor init {images}" in text
    (images / "dog" / "p0.png").write_bytes(b"")
    assert "\nnext, once what is said above is settled\n" in run("inspect", str(images)).stdout


def test_inspect_explains_mistakes(images):
    with pytest.raises(UserError, match="did you mean 'folder'"):
        run("inspect", str(images), "--source", "folders")
    with pytest.raises(UserError, match="write it as name=value"):
        run("inspect", str(images), "--option", "group")


def test_options_are_yaml():
    given = ["magnifications=[40, 100]", "name=x", "group=^(a|b): [", "n=3"]
    assert parse_options(given) == {"magnifications": [40, 100], "name": "x", "group": "^(a|b): [", "n": 3}


def test_fetch_prints_terms_and_folder(tmp_path, monkeypatch):
    remote = Published("folder", "set", "A set", "CC0", "doi:1", (Remote("a", "https://example.org/a", "md5:0"),))

    def download(found, to, *, progress):
        progress("a", 1, 2)
        progress("a", 2, 2)
        return to / found.folder

    monkeypatch.setattr("preceptor.data.published.published", lambda key: remote)
    monkeypatch.setattr("preceptor.data.fetch.fetch", download)
    result = run("fetch", "set", "--to", str(tmp_path))
    assert result.stdout == f"{tmp_path / 'set'}  (source: folder)\n"
    assert "Licence: CC0" in result.stderr


def test_help_needs_nothing_heavy():
    code = (
        "import sys; from preceptor.cli.data import app; "
        "print([name for name in ('torch', 'pandas', 'numpy', 'PIL', 'sklearn', 'pooch') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_reading_data_needs_no_torch():
    code = (
        "import sys; import preceptor.data.inspect, preceptor.data.fetch, preceptor.data.splits; "
        "print([name for name in ('torch', 'h5py', 'PIL', 'tifffile', 'pooch', 'sklearn') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
