import fcntl

import pytest
import yaml

from ..command import preceptor
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


def test_workers_are_not_for_a_cluster(written, tmp_path):
    answer = preceptor("study", written, "--out", tmp_path / "out", "--ray", "auto", "--workers", 2)
    assert answer.code == 2
    assert "leave it out" in answer.error
