"""Whole studies of real, tiny runs."""

import errno
import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from preceptor.recipe import parse_recipe
from preceptor.report.reading.find import find_studies
from preceptor.study.board import Board
from preceptor.study.plan import plan_study
from preceptor.study.work import JobOutcome, JobRequest, do_job, request_for, train_job
from preceptor.study_index import read_index
from preceptor.training.run import train_recipe

from ..command import preceptor
from .studies import raw, study


@pytest.fixture
def written(tmp_path):
    def write(**changes):
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(sort_keys=False, data=raw(**changes)))
        return path

    return write


def contents(out):
    """Everything that a study's runs left, but for times, for the place of the study, and for checksums of both."""
    found = {}
    for file in sorted((out / "runs").rglob("*")):
        if file.is_file() and file.name not in ("environment.json", "result.json", "begun.json"):
            found[str(file.relative_to(out))] = file.read_bytes().replace(str(out).encode(), b"")
    for file in sorted((out / "runs").glob("*/result.json")):
        result = json.loads(file.read_text().replace(str(out), ""))
        found[str(file.relative_to(out))] = {
            k: v for k, v in result.items() if k not in ("seconds", "images_per_second", "files", "sha256")
        }
    for name in [name for name in found if name.endswith("last.ckpt")]:
        del found[name]  # they hold the seconds spent
    return found


@pytest.mark.slow
def test_two_workers_leave_the_bits_of_one_and_the_same_command_again_does_nothing(written, tmp_path):
    path = written(seeds=[0, 1])
    for workers in (1, 2):
        answer = preceptor("study", path, "--out", tmp_path / f"by{workers}", "--workers", workers, "--device", "cpu")
        assert answer.code == 0
        assert "12 of 12 jobs done" in answer.out
    one, two = contents(tmp_path / "by1"), contents(tmp_path / "by2")
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
    assert sum(name.endswith("model.safetensors") for name in one) == 2 * (1 + 2 + 4 * 2 + 2)

    audits = [found["teacher_audit"] for name, found in one.items() if re.search("kd_offline.*result.json", name)]
    assert len(audits) == 4
    assert all(audit["run"].startswith("../baseline-seed") for audit in audits)

    again = preceptor("study", tmp_path / "by2" / "study.yaml", "--device", "cpu")
    assert (again.code, "done in" in again.out) == (0, False)


@pytest.mark.slow
def test_a_run_that_cannot_be_is_told_and_gives_1(written, tmp_path):
    axes = {"technique": {"ml": ["technique.name=ml"], "off": ["technique.name=ml", "technique.temperature=3"]}}
    made = study(axes=axes)
    board = Board(made, plan_study(made).jobs, tmp_path / "out")
    board.begin()
    off = next(job for job in board.jobs.values() if job.id.startswith("off"))
    off.folder(tmp_path / "out").parent.mkdir(parents=True)
    off.folder(tmp_path / "out").write_text("in the way")
    answer = preceptor("study", written(axes=axes), "--out", tmp_path / "out", "--workers", 1, "--device", "cpu")
    assert answer.code == 1
    assert re.search(f"FAILED {off.id}: .*{off.id}", answer.out)
    jobs = read_index(tmp_path / "out")[0]["jobs"]
    assert {job["id"].partition("-")[0]: job["status"] for job in jobs} == {
        "teacher": "done",
        "baseline": "done",
        "ml": "done",
        "off": "failed",
    }
    log = next((tmp_path / "out" / "logs").glob("ml-*.log")).read_text()
    assert "epoch 1/1" in log


def test_a_run_goes_on_where_its_study_has_moved_with_its_teacher(tmp_path, monkeypatch):
    made = study()
    job = next(job for job in plan_study(made).jobs if job.teachers)
    folder = job.folder(tmp_path / "new")
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(job.recipe_in(tmp_path / "old").to_yaml())
    given = []
    monkeypatch.setattr("preceptor.training.run.train_recipe", lambda recipe, *more, **named: given.append(recipe))

    train_job(request_for(job, tmp_path / "new", "cpu"), lambda number, score: True)

    assert given == [job.recipe_in(tmp_path / "new")]
    assert parse_recipe(yaml.safe_load((folder / "recipe.yaml").read_text())) == given[0]


def test_another_recipe_in_the_folder_is_left_for_the_run_to_refuse(tmp_path, monkeypatch):
    job = next(job for job in plan_study(study()).jobs if job.teachers)
    folder = job.folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(job.recipe_in(tmp_path).to_yaml().replace("batch_size: 8", "batch_size: 4"))
    monkeypatch.setattr("preceptor.training.run.train_recipe", lambda *given, **named: None)
    train_job(request_for(job, tmp_path, "cpu"), lambda number, score: True)
    assert "batch_size: 4" in (folder / "recipe.yaml").read_text()


@pytest.mark.slow
def test_kept_snapshots_leave_the_bits_of_a_run_that_trains_its_teacher_itself(tmp_path):
    technique = {"technique": {"name": "multi_part", "every": 1}}
    changes = {"set": {"training.epochs": 2, "networks.count": 1}, "axes": {"method": {"multi_part": technique}}}
    jobs = {job.kind: job for job in plan_study(study(**changes)).jobs}
    for kind in ("teacher", "run"):
        train_job(request_for(jobs[kind], tmp_path, "cpu"), lambda number, score: True)
    shared = jobs["run"].folder(tmp_path)
    train_recipe(jobs["run"].recipe, tmp_path / "own", device="cpu")
    student = "networks/S1/model.safetensors"
    assert (shared / student).read_bytes() == (tmp_path / "own" / student).read_bytes()
    result, own = (json.loads((folder / "result.json").read_text()) for folder in (shared, tmp_path / "own"))
    assert (result["test"], result["fidelity"]) == (own["test"], own["fidelity"])


@pytest.mark.slow
def test_folds_test_every_sample_once(written, tmp_path):
    """With the teacher and the students alone of the same fold; the report counts one seed."""
    path = written(folds=2, axes={"technique": {"kd_offline": ["technique.name=kd_offline"]}})
    out = tmp_path / "out"
    assert preceptor("study", path, "--out", out, "--workers", 1, "--device", "cpu").code == 0
    for kind in ("teacher", "baseline", "kd_offline"):
        tables = [pd.read_csv(run / "split.csv") for run in sorted((out / "runs").glob(f"{kind}-*"))]
        tested = [table.loc[table["split"] == "test", "id"] for table in tables]
        assert [len(ids) for ids in tested] == [24, 24]
        assert set(pd.concat(tested)) == set(tables[0]["id"])
    (found,) = find_studies([out])
    assert {len(cell.runs[0].predictions.ids) for cell in found.cells} == {48}


def no_space(request, tell):
    print("on the way")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/runs/a")


@pytest.mark.parametrize("log", ["/dev/full", "/dev/full/logs/1.log"])
def test_a_full_disk_that_also_holds_the_log_is_told_and_the_worker_lives(log, tmp_path, capsys):
    """``/dev/full`` answers every write as a full disk does."""
    with capsys.disabled():
        found = do_job(no_space, JobRequest("1", tmp_path, Path(log), "", "cpu"), lambda number, score: True)
    assert isinstance(found, JobOutcome)
    assert found.outcome == "failed"
    assert "No space left on device; free" in found.error or "choose another folder" in found.error
