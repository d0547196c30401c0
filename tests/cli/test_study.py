import fcntl
from importlib.util import find_spec
from io import StringIO

import pytest
import yaml

from preceptor.cli.places import STUDIES
from preceptor.cli.study import _tell_strangers
from preceptor.extras import install_command
from preceptor.screen import Screen
from preceptor.sealed import write_sealed
from preceptor.study.board import Board
from preceptor.study.plan import plan_study
from preceptor.study.spec import load_study

from ..command import preceptor
from ..report.folders import make_run, technique
from ..study.studies import raw


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(sort_keys=False, data=raw(scales={"small": {"seeds": [5]}})))
    return path


def test_the_jobs_are_listed_and_nothing_is_made(written, tmp_path):
    answer = preceptor("study", written, "--dry-run", "--scale", "small", "--out", tmp_path / "out")
    assert answer.code == 0
    assert "not the published protocol" in answer.out
    assert "6 jobs, 0 done" in answer.out
    assert "kd_offline-features-seed5-" in answer.out
    assert "needs teacher-seed5-" in answer.out
    assert not (tmp_path / "out").exists()


def test_changes_reach_the_recipe(written, tmp_path):
    before = preceptor("study", written, "--dry-run").out
    assert preceptor("study", written, "--dry-run", "--set", "training.lr=0.001", "training.epochs=1").out == before
    assert preceptor("study", written, "--dry-run", "--set", "training.lr=0.5", "training.epochs=1").out != before


def test_a_seed_of_a_study_is_its_part(written):
    written.write_text(yaml.safe_dump(sort_keys=False, data=raw(seeds=[0, 1])))
    whole, part = (preceptor("study", written, "--dry-run", *only).out for only in ((), ("--seed", 1)))
    jobs = {line.split()[0] for line in part.splitlines() if "-seed" in line}
    assert jobs
    assert jobs == {line.split()[0] for line in whole.splitlines() if "-seed1-" in line}
    assert preceptor("study", written, "--dry-run", "--seed", 7).error.endswith("has the seeds 0, 1\n")


def test_two_studies_in_one_folder_are_refused(written, tmp_path):
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / ".lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        answer = preceptor("study", written, "--out", tmp_path / "out")
    assert answer.code == 2
    assert "another `preceptor study` is at work" in answer.error
    assert not (tmp_path / "out" / "index.json").exists()


def test_data_that_is_not_there_is_refused_before_any_job(written, tmp_path):
    changes = ("data.source=folder", f"data.path={tmp_path / 'nowhere'}", "data.options={}")
    answer = preceptor("study", written, "--out", tmp_path / "out", "--set", *changes)
    assert answer.code == 2
    assert "nowhere" in answer.error
    assert "done in" not in answer.out


def test_a_mistake_in_the_study_gives_2(written):
    answer = preceptor("study", written, "--scale", "smal")
    assert answer.code == 2
    assert "did you mean 'small'?" in answer.error


WRONG = {
    "device": (["--device", "gpu"], "there are auto, cpu and cuda"),
    "no address": (["--ray", "here"], "is no address; give auto"),
    "no port": (["--ray", "ray://host:"], "is no address; give auto"),
    "workers and ray": (["--ray", "auto", "--workers", "2"], "leave it out"),
    "data": (["--set", "data.source=folder", "data.path=/nowhere", "data.options={}"], "/nowhere"),
    "teacher": (["--set", "technique.teacher=/no/teacher"], "'/no/teacher' does not exist"),
    "weights": (["--set", "networks.student.weights=/no/weights"], "no such file or folder"),
    "architecture": (["--set", "networks.student.architecture=resnet19"], "resnet19"),
    "reuse": (["--reuse", "/no/study"], "give the folder of a study that was run"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_whatever_is_wrong_is_said_before_anything_is_written(written, tmp_path, wrong):
    given, message = WRONG[wrong]
    answer = preceptor("study", written, "--out", tmp_path / "out", *given)
    assert answer.code == 2
    assert message in answer.error
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_nothing_is_left_where_runs_lie(written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "runs" / "tiny" / "kd_ml-mine", technique("kd_ml"))
    answer = preceptor("study", written, "--ray", "auto")
    assert answer.code == 2
    assert install_command("ray") in answer.error
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["tiny"]
    assert preceptor("report", "runs/tiny").code == 0


def test_studies_have_a_place_of_their_own(written, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert f"study folder: {STUDIES}/tiny-small" in preceptor("study", written, "--dry-run", "--scale", "small").out
    (tmp_path / "slides").mkdir()
    changed = preceptor("study", written, "--dry-run", "--set", "data.path=slides", "data.source=folder")
    assert f"study folder: {STUDIES}/tiny-slides" in changed.out


def test_a_folder_of_something_else_is_refused(written, tmp_path):
    (tmp_path / "recipe.yaml").write_text("")
    assert "is the folder of a run" in preceptor("study", written, "--dry-run", "--out", tmp_path).error
    (tmp_path / "recipe.yaml").unlink()
    write_sealed(tmp_path / "index.json", {"name": "another"})
    assert "holds the study 'another'" in preceptor("study", written, "--dry-run", "--out", tmp_path).error
    assert "is a file" in preceptor("study", written, "--dry-run", "--out", written).error


def test_a_damaged_index_is_written_anew(written, tmp_path):
    (tmp_path / "index.json").write_text('{"name": "ti')
    answer = preceptor("study", written, "--dry-run", "--out", tmp_path)
    assert answer.code == 0
    assert "is damaged and is written anew from the runs" in answer.out


def test_a_resolved_study_that_was_changed_is_refused(written, tmp_path):
    study = load_study(written)
    board = Board(study, plan_study(study).jobs, tmp_path / "out")
    board.begin()
    resolved = tmp_path / "out" / "study.yaml"
    assert f"study folder: {tmp_path / 'out'}" in preceptor("study", resolved, "--dry-run").out.replace("\n", "")
    resolved.write_text(resolved.read_text().replace("lr: 0.001", "lr: 0.003"))
    answer = preceptor("study", resolved, "--dry-run")
    assert answer.code == 2
    assert "is not what was written" in answer.error
    assert "copy study.yaml to another folder" in answer.error


def test_workers_are_not_for_a_cluster(written, tmp_path):
    answer = preceptor("study", written, "--out", tmp_path / "out", "--ray", "auto", "--workers", 2)
    assert answer.code == 2
    assert "leave it out" in answer.error


def test_runs_of_other_settings_in_the_folder_are_said_to_lie_there(written, tmp_path):
    """Before anything trains: they stay, and others are made beside them."""
    board = Board(load_study(written), plan_study(load_study(written)).jobs, tmp_path / "out")
    (tmp_path / "out" / "runs" / "baseline-seed0-0a1b2c").mkdir(parents=True)
    (tmp_path / "out" / "runs" / next(iter(board.jobs))).mkdir()
    console = Screen(file=StringIO(), width=200)
    _tell_strangers(board, {}, console)
    said = console.file.getvalue()
    assert "holds 1 runs of other settings, such as baseline-seed0-0a1b2c" in said
    assert f"{len(board.jobs)} of {len(board.jobs)} runs are to be made" in said
