"""Whose folder it is: ours, nobody's, or somebody else's, in which nothing is written or removed."""

import os
import subprocess
import sys

import pytest

from preceptor.errors import UserError
from preceptor.files import file_lock
from preceptor.runs.place import is_run, remove_leftovers, require_place


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")


@pytest.mark.parametrize("names", [(), (".lock",), (".begun.json.12.part",), ("slurm-1.out", "log.txt")])
def test_new_and_empty_folders_are_free(tmp_path, names):
    fill(tmp_path / "out", *names)
    require_place(tmp_path / "out", [None], is_own=False)
    require_place(tmp_path / "new", [str(tmp_path / "data")], is_own=False)


@pytest.mark.parametrize("name", ["thesis.docx", ".thesis.part", "other-run/recipe.yaml", "recipe.yaml"])
def test_a_folder_with_other_things_is_refused(tmp_path, name):
    fill(tmp_path, name)
    with pytest.raises(UserError, match=r"holds other things, such as .*\n?.*Give a new or empty folder"):
        require_place(tmp_path, [], is_own=is_run(tmp_path))


@pytest.mark.parametrize(
    ("out", "words"), [("all/data", "is the folder of the data"), ("all/data/x", "lies in"), ("all", "holds the data")]
)
def test_the_data_are_no_place_for_runs(tmp_path, out, words):
    fill(tmp_path / "all" / "data", "a/1.png")
    with pytest.raises(UserError, match=words):
        require_place(tmp_path / out, [None, str(tmp_path / "all" / "data")], is_own=False)


def test_a_table_beside_the_runs_is_no_data_folder(tmp_path):
    fill(tmp_path, "labels.csv")
    require_place(tmp_path / "runs" / "first", [str(tmp_path / "labels.csv")], is_own=False)


def test_runs_of_this_version_and_older_ones_are_known(tmp_path):
    fill(tmp_path / "new", "begun.json")
    fill(tmp_path / "old", "recipe.yaml", "split.csv")
    fill(tmp_path / "none", "recipe.yaml", "images.csv")
    assert [is_run(tmp_path / name) for name in ("new", "old", "none", "absent")] == [True, True, False, False]


def dead_process():
    return subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    ).stdout


def test_only_our_own_leftovers_are_removed(tmp_path):
    dead = int(dead_process())
    ours = [f".recipe.yaml.{dead}.part", f"checkpoints/main/.last.ckpt.{dead}.part", f"networks/T/.x.json.{dead}.part"]
    theirs = [
        ".thesis.part",
        f".thesis.{dead}.part",
        f"other-run/checkpoints/main/.last.ckpt.{dead}.part",
        "checkpoints/main/.notes.part",
        f"checkpoints/main/.last.ckpt.{os.getpid()}.part",
    ]
    fill(tmp_path, *ours, *theirs)
    remove_leftovers(tmp_path, is_alone=False)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(theirs)


def test_a_lock_empties_nothing_and_follows_no_link(tmp_path):
    fill(tmp_path, "precious", "kept")
    with file_lock(tmp_path / "kept"):
        pass
    assert (tmp_path / "kept").read_text() == "mine"
    (tmp_path / ".lock").symlink_to("precious")
    with pytest.raises(UserError, match="is a link"), file_lock(tmp_path / ".lock"):
        pass
    assert (tmp_path / "precious").read_text() == "mine"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="no plain file"), file_lock(tmp_path / "pipe"):
        pass
