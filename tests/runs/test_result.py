"""``result.json`` and, through it, every file of a finished run."""

import json

import pytest

from preceptor.errors import DamagedFileError, UserError
from preceptor.runs.begun import (
    Begun,
    known_fingerprint,
    read_begun,
    read_split,
    replace_recipe,
    require_same_data,
    text_sha256,
    write_begun,
)
from preceptor.runs.result import finished_run, read_result, write_result

VALUES = {
    "status": "complete",
    "task": "classification",
    "technique": "ml",
    "chosen": "S1",
    "test": {"S1": {"accuracy": 0.5}},
    "validation": {"S1": {"accuracy": 0.75}},
    "fidelity": {},
    "parameters": {"S1": 3},
    "seconds": 1.5,
    "images_per_second": 20.0,
}
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
    write_result(folder, VALUES)
    return folder


def test_a_result_comes_back_with_what_it_vouches_for(run):
    result = read_result(run)
    assert result.values == VALUES
    assert result.whole() == VALUES
    assert set(result.files) == {
        "begun.json",
        "recipe.yaml",
        "split.csv",
        "metrics.csv",
        "predictions/test.csv",
        "networks/S1/config.json",
    }
    result.verify("predictions", "networks", "recipe.yaml", "split.csv", "metrics.csv")
    assert result.content("predictions/test.csv") == b"content of predictions/test.csv"


def test_equal_runs_bear_equal_seals_however_long_they_took(run):
    before = json.loads((run / "result.json").read_text())["sha256"]
    write_result(run, {**VALUES, "seconds": 99.0})
    assert json.loads((run / "result.json").read_text())["sha256"] == before


@pytest.mark.parametrize("name", ["recipe.yaml", "metrics.csv", "predictions/test.csv", "networks/S1/config.json"])
def test_a_changed_file_is_named(run, name):
    (run / name).write_text("other")
    result = read_result(run)
    with pytest.raises(DamagedFileError, match=rf"{name}: was changed or damaged(.|\n)*Bring the file back, or"):
        result.verify(name.split("/")[0])
    with pytest.raises(DamagedFileError, match=name):
        result.content(name)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"status": 3}', b'{"status": NaN}'])
def test_a_damaged_result_says_what_to_do(run, content):
    (run / "result.json").write_bytes(content)
    for read in (read_result, lambda folder: finished_run(folder, with_test=True)):
        with pytest.raises(DamagedFileError, match=r"result\.json: (.|\n)*Delete it; `preceptor train .* anew"):
            read(run)


def test_an_older_result_is_read_and_known_as_such(run):
    (run / "result.json").write_text(json.dumps(VALUES))
    (run / "metrics.csv").write_text("other")
    result = read_result(run)
    assert not result.is_sealed
    result.verify("metrics.csv")
    (run / "result.json").write_text(json.dumps({"status": "complete"}))
    with pytest.raises(DamagedFileError, match="'task' is missing"):
        read_result(run).whole()


def test_unfinished_runs_are_named(run):
    write_result(run, {**VALUES, "status": "validated"})
    with pytest.raises(UserError, match="still sealed"):
        finished_run(run, with_test=True)
    (run / "result.json").unlink()
    with pytest.raises(UserError, match="no finished run"):
        finished_run(run, with_test=False)


def test_a_moved_teacher_leaves_a_verified_run(run):
    replace_recipe(run, "another text")
    result = read_result(run)
    result.verify("recipe.yaml", "begun.json", "split.csv")
    assert result.content("recipe.yaml") == b"another text"
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
            read_split(run)
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
