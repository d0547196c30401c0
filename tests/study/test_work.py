"""Whole studies of real, tiny runs."""

import json
import re

import pytest
import yaml

from preceptor.study.board import read_index

from ..command import preceptor
from .studies import raw


@pytest.fixture
def written(tmp_path):
    def write(**changes):
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(sort_keys=False, data=raw(**changes)))
        return path

    return write


def contents(out):
    """Everything that a study's runs left, but for times and for the place of the study."""
    found = {}
    for file in sorted((out / "runs").rglob("*")):
        if file.is_file() and file.name not in ("environment.json", "result.json"):
            found[str(file.relative_to(out))] = file.read_bytes().replace(str(out).encode(), b"")
    for file in sorted((out / "runs").glob("*/result.json")):
        result = json.loads(file.read_text().replace(str(out), ""))
        found[str(file.relative_to(out))] = {
            k: v for k, v in result.items() if k not in ("seconds", "images_per_second")
        }
    for name in [name for name in found if name.endswith("last.ckpt")]:
        del found[name]  # they hold the seconds spent
    return found


@pytest.mark.slow
def test_two_workers_leave_the_bits_of_one_and_the_same_command_again_does_nothing(written, tmp_path):
    study = written(seeds=[0, 1])
    for workers in (1, 2):
        answer = preceptor("study", study, "--out", tmp_path / f"by{workers}", "--workers", workers, "--device", "cpu")
        assert answer.code == 0
        assert "12 of 12 jobs done" in answer.out
    one, two = contents(tmp_path / "by1"), contents(tmp_path / "by2")
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
    assert sum(name.endswith("model.safetensors") for name in one) == 2 * (1 + 2 + 4 * 2 + 2)

    audits = [found["teacher_audit"] for name, found in one.items() if re.search("kd_offline.*result.json", name)]
    assert len(audits) == 4
    assert all("runs/baseline-seed" in audit["run"] for audit in audits)

    again = preceptor("study", study, "--out", tmp_path / "by2", "--device", "cpu")
    assert (again.code, "done in" in again.out) == (0, False)


@pytest.mark.slow
def test_a_run_that_cannot_be_is_told_and_gives_1(written, tmp_path):
    axes = {
        "technique": {"ml": ["technique.name=ml"], "off": ["technique.name=kd_offline", "technique.teacher=nowhere"]}
    }
    answer = preceptor("study", written(axes=axes), "--out", tmp_path / "out", "--workers", 1, "--device", "cpu")
    assert answer.code == 1
    assert re.search("FAILED off-seed0-.*technique.teacher: 'nowhere' does not exist", answer.out)
    jobs = read_index(tmp_path / "out")["jobs"]
    assert {job["id"].partition("-")[0]: job["status"] for job in jobs} == {
        "teacher": "done",
        "baseline": "done",
        "ml": "done",
        "off": "failed",
    }
    log = next((tmp_path / "out" / "logs").glob("ml-*.log")).read_text()
    assert "epoch 1/1" in log
