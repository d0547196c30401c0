"""Runs taken over from other studies."""

import json
import shutil

import pytest
from tests.runs.results import COMPLETE, SEALED_TEST

from preceptor.errors import UserError
from preceptor.report.reading.find import find_studies
from preceptor.report.tables import runs
from preceptor.study.board import Board
from preceptor.study.plan import plan_study
from preceptor.study.reuse import find_runs, take_over
from preceptor.study_index import read_index

from ..command import preceptor
from .studies import RAW, raw, study

RENAMED = {  # other axes and names, one equal cell, whose teacher's place in the table is another too
    "method": {"distilled": ["technique.name=kd_offline", "technique.strategy=features"]},
    "students": {"small": ["networks.student.architecture=test_resnet"]},
}


def board_of(folder, **changes):
    made = study(**changes)
    board = Board(made, plan_study(made).jobs, folder)
    board.begin()
    return board


def finish(board, names=None, status="complete"):
    """Leave what a finished run leaves of every job, or of those whose names begin so."""
    for job in board.jobs.values():
        if names and not job.id.startswith(names):
            continue
        folder = job.folder(board.out)
        (folder / "networks").mkdir(parents=True)
        (folder / "networks" / "weights").write_text(job.id)
        (folder / "recipe.yaml").write_text(job.recipe_in(board.out).to_yaml())
        (folder / "environment.json").write_text(json.dumps({"data_fingerprint": "abc"}))
        (folder / "result.json").write_text(json.dumps({"complete": COMPLETE, "validated": SEALED_TEST}[status]))


def taken(board, *studies):
    found = find_runs(board, studies)
    take_over(board, found, lambda recipe: "abc")
    return found


def test_equal_runs_are_found_whatever_their_cells_are_called(tmp_path):
    theirs = board_of(tmp_path / "theirs")
    finish(theirs)
    mine = board_of(tmp_path / "mine", axes=RENAMED)
    found = taken(mine, tmp_path / "theirs")

    assert {id.partition("-seed")[0]: source.name.partition("-seed")[0] for id, source in found.items()} == {
        "teacher-small": "teacher",
        "baseline-small": "baseline",
        "distilled-small": "kd_offline-features",
    }
    assert mine.having("done") == list(mine.jobs)
    again = Board(mine.study, list(mine.jobs.values()), mine.out)
    assert again.having("done") == list(again.jobs)
    run = next(job for job in mine.jobs.values() if job.kind == "run")
    assert (run.folder(mine.out) / "networks" / "weights").read_text() == found[run.id].name
    assert (run.folder(mine.out) / "recipe.yaml").read_text() == run.recipe_in(mine.out).to_yaml()


def test_the_index_says_where_a_run_is_from_and_goes_on_saying_it(tmp_path):
    finish(board_of(tmp_path / "theirs"), ("teacher", "ml-predictions"))
    mine = board_of(tmp_path / "mine")
    found = taken(mine, tmp_path / "theirs")
    said = {id: str(source) for id, source in found.items()}
    assert len(said) == 2
    board_of(tmp_path / "mine")
    rows = {job["id"]: job["reused_from"] for job in read_index(tmp_path / "mine")[0]["jobs"]}
    assert {id: source for id, source in rows.items() if source} == said
    assert len(rows) == 6


@pytest.mark.parametrize("damage", ["no_result", "validated", "other_recipe", "other_teacher"])
def test_what_is_not_exactly_the_run_is_trained(tmp_path, damage):
    theirs = board_of(tmp_path / "theirs")
    finish(theirs)
    job = next(job for job in theirs.jobs.values() if job.teachers)
    folder = job.folder(theirs.out)
    text = (folder / "recipe.yaml").read_text()
    if damage == "no_result":
        (folder / "result.json").unlink()
    elif damage == "validated":
        (folder / "result.json").write_text(json.dumps(SEALED_TEST))
    elif damage == "other_recipe":
        (folder / "recipe.yaml").write_text(text.replace("batch_size: 8", "batch_size: 4"))
    else:
        (folder / "recipe.yaml").write_text(text.replace(job.teachers[0], "teacher-seed0-00000000"))
    mine = board_of(tmp_path / "mine")
    assert set(find_runs(mine, [tmp_path / "theirs"])) == set(mine.jobs) - {job.id}


def test_a_damaged_run_is_named(tmp_path):
    theirs = board_of(tmp_path / "theirs")
    finish(theirs)
    (next(iter(theirs.jobs.values())).folder(theirs.out) / "result.json").write_text('{"status": "comp')
    with pytest.raises(UserError, match=r"result\.json.*(.|\n)*Delete it"):
        find_runs(board_of(tmp_path / "mine"), [tmp_path / "theirs"])


def test_a_run_that_has_begun_here_goes_on(tmp_path):
    finish(board_of(tmp_path / "theirs"))
    mine = board_of(tmp_path / "mine")
    begun = next(iter(mine.jobs.values()))
    begun.folder(mine.out).mkdir(parents=True)
    assert begun.id not in find_runs(mine, [tmp_path / "theirs"])


def test_other_images_are_refused(tmp_path):
    finish(board_of(tmp_path / "theirs"))
    mine = board_of(tmp_path / "mine")
    with pytest.raises(UserError, match="trained on other images than phantom"):
        take_over(mine, find_runs(mine, [tmp_path / "theirs"]), lambda recipe: "other")
    assert not (mine.out / "runs").exists()


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"--reuse .*nowhere: there is no .*runs"):
        find_runs(board_of(tmp_path / "mine"), [tmp_path / "nowhere"])


def test_a_copy_that_fails_or_is_killed_leaves_no_run(tmp_path, monkeypatch):
    finish(board_of(tmp_path / "theirs"))
    mine = board_of(tmp_path / "mine")
    first = next(iter(mine.jobs))
    (mine.out / "runs" / f".{first}.part" / "networks").mkdir(parents=True)  # what kill -9 leaves

    with monkeypatch.context() as patched:
        patched.setattr("preceptor.study.reuse.os.fsync", lambda file: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises((OSError, shutil.Error)):
            taken(mine, tmp_path / "theirs")
        assert list((mine.out / "runs").iterdir()) == []

    taken(mine, tmp_path / "theirs")
    assert sorted(folder.name for folder in (mine.out / "runs").iterdir()) == sorted(mine.jobs)


@pytest.mark.slow
def test_a_study_that_reads_the_same_runs_differently_trains_nothing(tmp_path):
    """Real runs; the second study lists them, and its --dry-run says so before."""
    axes = {"technique": {"kd_offline": ["technique.name=kd_offline"]}}
    for name, changed in (("one", axes), ("other", {"method": axes["technique"]})):
        (tmp_path / f"{name}.yaml").write_text(json.dumps(raw(axes=changed, name=name, recipe=RAW["recipe"])))
    one = preceptor("study", tmp_path / "one.yaml", "--out", tmp_path / "one", "--workers", 1, "--device", "cpu")
    assert one.code == 0, one.error

    command = ("study", tmp_path / "other.yaml", "--out", tmp_path / "other", "--reuse", tmp_path / "one")
    listed = preceptor(*command, "--dry-run")
    assert listed.out.count("reused from") == 3
    assert not (tmp_path / "other").exists()
    answer = preceptor(*command, "--device", "cpu")
    assert (answer.code, answer.out.count(": reused from")) == (0, 3)
    assert "done in" not in answer.out
    assert "3 of 3 jobs done" in answer.out
    (found,) = find_studies([tmp_path / "other"])
    said = [row[-1].beside for row in runs(found).rows]
    assert said == [("reused from one",)] * 3
    again = preceptor(*command, "--device", "cpu")
    assert ("done in" in again.out, ": reused from" in again.out) == (False, False)
