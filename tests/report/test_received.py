"""Folders that came from somebody else: the page shows nothing of this machine but what lies in them."""

import html
import json
import os
from pathlib import Path

import pytest
import yaml

from ..command import preceptor
from .folders import ALONE, make_run, make_study, technique

SECRET = "a word that nobody else should read"


def note(run: Path, file: object, **more: object) -> None:
    (run / "analysis").mkdir(exist_ok=True)
    entry = {"title": "t", "file": file, "caption": "c", **more}
    (run / "analysis" / "index.json").write_text(json.dumps([entry]))


def link(run: Path, target: Path) -> str:
    (run / "analysis").mkdir()
    (run / "analysis" / "x.txt").symlink_to(target)
    return "x.txt"


def linked_folder(run: Path, target: Path) -> str:
    (run / "analysis").symlink_to(target.parent)
    return target.name


def device(run: Path, target: Path) -> str:
    (run / "analysis").mkdir()
    os.mkfifo(run / "analysis" / "x.txt")
    return "x.txt"


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda run, secret: "../../outside/secret.txt", "leads out of it"),
        (lambda run, secret: "../recipe.yaml", "leads out of it"),
        (lambda run, secret: str(secret), "leads out of it"),
        (link, "a link there leads out of it"),
        (device, "is a pipe or device"),
        (lambda run, secret: "x\0.png", "no name of a file"),
        (lambda run, secret: 3, "no name of a file"),
        (lambda run, secret: "x" * 5000, "cannot be followed"),
    ],
)
def test_only_what_lies_in_the_folder_goes_into_the_page(tmp_path, prepare, reason):
    secret = tmp_path / "outside" / "secret.txt"
    secret.parent.mkdir()
    secret.write_text(SECRET)
    run = make_run(tmp_path / "run", ALONE)
    note(run, prepare(run, secret))
    answer = preceptor("report", run)
    assert (answer.code, reason in answer.error) == (2, True), answer.error
    assert "index.json names" in answer.error
    assert not (run / "report.html").exists()


def test_a_linked_analysis_is_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET)
    (outside / "index.json").write_text(json.dumps([{"title": "t", "file": "secret.txt"}]))
    run = make_run(tmp_path / "run", ALONE)
    (run / "analysis").symlink_to(outside)
    answer = preceptor("report", run)
    assert answer.code == 2
    assert "a link there leads out of it" in answer.error


def test_a_note_that_lies_there_is_shown(tmp_path):
    run = make_run(tmp_path / "run", ALONE)
    note(run, "x.txt", title="</script><b>T</b>")
    (run / "analysis" / "x.txt").write_text("some words")
    assert preceptor("report", run).code == 0
    page = (run / "report.html").read_text()
    assert "some words" in page
    assert "</script><b>" not in page


@pytest.mark.parametrize("folder", ["../secret-run", "{tmp}/secret-run", "runs/linked"])
def test_a_study_shows_no_run_from_elsewhere(tmp_path, folder):
    secret = make_run(tmp_path / "secret-run", ALONE, recipe={"name": SECRET})
    study = make_study(tmp_path / "study", [("baseline", {}, 0, "done", None, {"chosen": ALONE})])
    (study / "runs" / "linked").symlink_to(secret)
    index = json.loads((study / "index.json").read_text())
    index["jobs"][0]["folder"] = folder.format(tmp=tmp_path)
    (study / "index.json").write_text(json.dumps(index))
    answer = preceptor("report", study)
    assert answer.code == 2
    assert "leads out of it" in answer.error


def test_a_study_reads_no_table_from_elsewhere(tmp_path):
    (tmp_path / "secret.csv").write_text(f"{SECRET},b\n1,2\n")
    jobs = [("baseline", {}, 0, "done", None, {"chosen": ALONE})]
    study = make_study(tmp_path / "study", jobs, published={"file": "../secret.csv", "table": "1"})
    answer = preceptor("report", study)
    assert answer.code == 2
    assert "leads out of it" in answer.error
    assert SECRET not in answer.error


@pytest.mark.parametrize("name", ["result.json", "recipe.yaml", "metrics.csv", "predictions/test.csv", "split.csv"])
def test_nothing_is_waited_for(tmp_path, name):
    run = make_run(tmp_path / "run", ALONE)
    (run / name).unlink()
    os.mkfifo(run / name)
    answer = preceptor("report", run)
    assert answer.code == 2
    assert "is a named pipe (FIFO); a regular file was expected" in answer.error


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": None}, "'test' is missing or of another kind"),
        ({"test": [1]}, "'test' is missing or of another kind"),
        ({"test": {}}, "'test' holds no scores"),
        ({"validation": {}}, "'validation' holds no scores"),
        ({"validation": {"S1": 3}}, "'validation.S1' is missing or of another kind"),
        ({"fidelity": {"S1": {"agreement": "high"}}}, "'fidelity.S1.agreement' is missing or of another kind"),
        ({"parameters": [1]}, "'parameters' is missing or of another kind"),
        ({"multiply_adds": [1]}, "'multiply_adds' is missing or of another kind"),
        ({"model_bytes": {"S1": "big"}}, "'model_bytes.S1' is missing or of another kind"),
        ({"notes": [1]}, "'notes.0' is missing or of another kind"),
    ],
)
def test_a_result_of_another_shape_is_named(tmp_path, change, message):
    run = make_run(tmp_path / "run", ALONE)
    result = json.loads((run / "result.json").read_text()) | change
    (run / "result.json").write_text(json.dumps(result))
    answer = preceptor("report", run)
    assert answer.code == 2
    assert "result.json" in answer.error
    assert message in answer.error


def test_no_absolute_path_leaves_with_the_page(tmp_path):
    places = {
        "data": {"source": "folder", "path": "/home/me/private/tissue", "image_size": 32, "cache": "/scratch/me/cache"},
        "networks": {
            "teacher": {"architecture": "local-dir:/home/me/nets/big", "weights": "none"},
            "student": {"architecture": "test_resnet", "weights": "~/private/w.safetensors"},
            "count": 2,
        },
    }
    notes = ["images of /home/me/private/tissue were packed"]
    for number, teacher in enumerate(("/home/me/runs/a", "/home/me/runs/b")):
        chosen = technique("kd_offline", teacher=teacher, losses=[{"loss": "/home/me/own.py:Mine"}])
        make_run(tmp_path / "all" / f"{number}", chosen, recipe=places, notes=notes, seed=number)
    make_run(tmp_path / "all" / "alone", ALONE, recipe=places)
    assert preceptor("report", tmp_path / "all").code == 0
    page = html.unescape((tmp_path / "all" / "report.html").read_text())
    assert "own.py:Mine" in page
    assert "…/tissue" in page
    written = [page, *(path.read_text() for path in (tmp_path / "all" / "tables").iterdir())]
    for text in written:
        assert "/home/me" not in text
        assert "/scratch" not in text
        assert "~/private" not in text
        assert str(tmp_path) not in text
    assert yaml.safe_load((tmp_path / "all" / "0" / "recipe.yaml").read_text())["data"]["path"].startswith("/home/me")
