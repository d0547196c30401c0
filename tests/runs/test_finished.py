"""A finished run and, through its result, every file of it."""

import json

import pytest

from preceptor.errors import DamagedFileError, UserError
from preceptor.runs.begun import (
    Begun,
    known_fingerprint,
    read_begun,
    replace_recipe,
    require_same_data,
    split_text,
    text_sha256,
    write_begun,
)
from preceptor.runs.finished import finished_run, read_finished, write_result

from .results import COMPLETE, result

SPLIT = "id,group,label,split\na,,0,train\n"


@pytest.fixture
def run(tmp_path):
    """A finished run, in small."""
    folder = tmp_path / "run"
    for name in ("recipe.yaml", "metrics.csv", "predictions/test.csv", "networks/S1/config.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}")
    (folder / "split.csv").write_text(SPLIT)
    write_begun(folder, Begun("pixels", text_sha256(SPLIT), text_sha256("content of recipe.yaml")))
    write_result(folder, result())
    return folder


def test_a_result_comes_back_with_what_it_vouches_for(run):
    found = read_finished(run)
    assert found.result == result()
    assert set(found.sums) == {
        "begun.json",
        "recipe.yaml",
        "split.csv",
        "metrics.csv",
        "predictions/test.csv",
        "networks/S1/config.json",
    }
    found.verify(*found.files.listed)
    assert found.content(found.files.predictions_of("test")) == b"content of predictions/test.csv"


def test_equal_runs_bear_equal_seals_however_long_they_took(run):
    before = json.loads((run / "result.json").read_text())["sha256"]
    write_result(run, result(seconds=99.0))
    assert json.loads((run / "result.json").read_text())["sha256"] == before


@pytest.mark.parametrize("name", ["recipe.yaml", "metrics.csv", "predictions/test.csv", "networks/S1/config.json"])
def test_a_changed_file_is_named(run, name):
    (run / name).write_text("other")
    found = read_finished(run)
    with pytest.raises(DamagedFileError, match=rf"{name}: was changed or damaged(.|\n)*Bring the file back, or"):
        found.verify(run / name.split("/")[0])
    with pytest.raises(DamagedFileError, match=name):
        found.content(run / name)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"status": 3}', b'{"status": NaN}'])
def test_a_damaged_result_says_what_to_do(run, content):
    (run / "result.json").write_bytes(content)
    for read in (read_finished, lambda folder: finished_run(folder, with_test=True)):
        with pytest.raises(DamagedFileError, match=r"result\.json: (.|\n)*Delete it; `preceptor train .* anew"):
            read(run)


def test_an_older_result_is_read_and_known_as_such(run):
    (run / "result.json").write_text(json.dumps(COMPLETE))
    (run / "metrics.csv").write_text("other")
    found = read_finished(run)
    assert not found.is_sealed
    found.verify(run / "metrics.csv")
    assert found.result == result()


def test_unfinished_runs_are_named(run):
    write_result(run, result(status="validated", test={}))
    with pytest.raises(UserError, match="still sealed"):
        finished_run(run, with_test=True)
    (run / "result.json").unlink()
    with pytest.raises(UserError, match="no finished run"):
        finished_run(run, with_test=False)


def test_a_moved_teacher_leaves_a_verified_run(run):
    replace_recipe(run, "another text")
    found = read_finished(run)
    found.verify(found.files.recipe, found.files.begun, found.files.split)
    assert found.content(found.files.recipe) == b"another text"
    assert read_begun(run).recipe == text_sha256("another text")


def test_other_pixels_another_split_and_a_damaged_file_are_told_apart(run):
    require_same_data(run, "pixels", SPLIT)
    with pytest.raises(UserError, match="the packed images are others"):
        require_same_data(run, "other pixels", SPLIT)
    with pytest.raises(UserError, match="another version of preceptor splits otherwise"):
        require_same_data(run, "pixels", SPLIT + "b,,1,test\n")
    for content in (b"", b"\xff\xfebad", SPLIT[:-3].encode()):
        (run / "split.csv").write_bytes(content)
        with pytest.raises(DamagedFileError, match=r"split\.csv was|split\.csv: was changed or damaged"):
            require_same_data(run, "pixels", SPLIT)
        with pytest.raises(DamagedFileError, match=r"split\.csv"):
            split_text(run)
    said = []
    require_same_data(run, "pixels", SPLIT, said.append)
    assert "written anew" in said[0]


def test_what_an_older_version_began_is_compared_by_its_split(run):
    (run / "begun.json").unlink()
    require_same_data(run, "whatever", SPLIT)
    assert known_fingerprint(run) is None
    with pytest.raises(UserError, match="the data has changed since this run began, or"):
        require_same_data(run, "whatever", SPLIT + "b,,1,test\n")


def test_a_damaged_beginning_is_named(run):
    (run / "begun.json").write_text((run / "begun.json").read_text().replace("pixels", "pixelt"))
    with pytest.raises(DamagedFileError, match=r"begun\.json"):
        read_begun(run)
