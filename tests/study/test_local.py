"""Worker processes: what is done, what fails, what dies, and what is done again."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from preceptor.study.board import Board
from preceptor.study.local import LocalCrew, fair_workers, visible_gpus
from preceptor.study.plan import plan_study
from preceptor.study.run import run_jobs
from preceptor.study.show import Overview
from preceptor.study_index import read_index

from .studies import study


def begun(board, name):
    """How often a job began."""
    job = next(id for id in board.jobs if id.startswith(name))
    file = board.out / "runs" / job / "begun"
    return len(file.read_text().splitlines()) if file.exists() else 0


def standing(board, name):
    return next(found for id, found in board.standing.items() if id.startswith(name))


def test_everything_is_done_once_by_living_workers(scripted):
    board, text = scripted(workers=2)
    assert board.having("done") == list(board.jobs)
    assert {begun(board, name) for name in board.jobs} == {1}
    pids = {(board.out / "runs" / id / "begun").read_text() for id in board.jobs}
    assert len(pids) <= 2
    assert "6 of 6 done, 0 running, 0 failed" in text
    assert {job["status"] for job in read_index(board.out)[0]["jobs"]} == {"done"}


def test_the_same_command_again_does_only_what_is_missing(scripted):
    board, _ = scripted({"ml-predictions": "defect"})
    assert standing(board, "ml-predictions").error == "KeyError: 'boom'"
    again, text = scripted()
    assert again.having("done") == list(again.jobs)
    assert {name: begun(again, name) for name in ("ml-predictions", "ml-features", "teacher")} == {
        "ml-predictions": 2,
        "ml-features": 1,
        "teacher": 1,
    }
    assert text.count("done in") == 1


def test_a_failure_stops_its_dependants_only(scripted):
    board, text = scripted({"teacher": "user_error"})
    assert standing(board, "teacher").error == "the image is damaged"
    assert "FAILED: the image is damaged" in text
    assert standing(board, "kd_offline-features").error.startswith("not begun: its teacher teacher-seed0-")
    assert {id.partition("-seed")[0] for id in board.having("done")} == {"baseline", "ml-predictions", "ml-features"}
    log = next((board.out / "logs").glob("teacher-*.log")).read_text()
    assert "begins" in log
    assert "Traceback" in log


def test_a_failed_baseline_stops_nothing_else(scripted):
    board, _ = scripted({"baseline": "defect"})
    assert len(board.having("done")) == 5


def test_a_job_whose_worker_died_is_taken_up_again(scripted):
    board, text = scripted({"ml-predictions": "die_once"}, workers=2)
    assert board.having("done") == list(board.jobs)
    assert begun(board, "ml-predictions") == 2
    assert standing(board, "ml-predictions").attempts == 2
    assert "attempt 2 goes on" in text


def test_a_job_that_always_kills_its_worker_is_given_up(scripted):
    board, _ = scripted({"ml-predictions": "die"})
    assert begun(board, "ml-predictions") == 3
    assert "was killed (signal 9" in standing(board, "ml-predictions").error
    assert len(board.having("done")) == 5


def test_a_changed_recipe_is_not_taken_for_done(scripted):
    board, _ = scripted()
    folder = board.out / "runs" / next(id for id in board.jobs if id.startswith("ml-features"))
    text = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(text.replace("batch_size: 8", "batch_size: 4"))
    again, _ = scripted()
    assert begun(again, "ml-features") == 2


def child(tmp_path, script):
    """Another process that runs the tiny study with one job that waits; returned when that job has begun."""
    (tmp_path / "script.json").write_text(json.dumps(script))
    here = Path(__file__).parent
    code = (
        "import sys\n"
        f"sys.path[:0] = [{str(here)!r}, {str(here.parents[1])!r}]\n"
        "import fake_work\n"
        "from pathlib import Path\n"
        "from rich.console import Console\n"
        "from preceptor.study.board import Board\n"
        "from preceptor.study.local import LocalCrew\n"
        "from preceptor.study.plan import plan_study\n"
        "from preceptor.study.run import run_jobs\n"
        "from preceptor.study.show import Overview\n"
        "from tests.study.studies import study\n"
        "if __name__ == '__main__':\n"
        f"    board = Board(study(), plan_study(study()).jobs, Path({str(tmp_path)!r}))\n"
        "    board.begin()\n"
        "    with Overview(Console(), board) as overview:\n"
        "        run_jobs(board, overview, LocalCrew(1, 1, device='cpu', work=fake_work.work))\n"
    )
    (tmp_path / "child.py").write_text(code)
    process = subprocess.Popen([sys.executable, tmp_path / "child.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until(lambda: list(tmp_path.glob("runs/*/waiting")))
    return process


def until(condition):
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen in 30 s")


def is_alive(pid):
    """Whether a process runs; a zombie that nobody has collected does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent_and_the_next_command_goes_on(tmp_path, scripted, number):
    process = child(tmp_path, {"ml-predictions": "wait"})
    waiting = next(tmp_path.glob("runs/ml-predictions*/begun"))
    worker = int(waiting.read_text())
    process.send_signal(number)
    _, error = process.communicate(timeout=30)
    until(lambda: not is_alive(worker))
    if number != signal.SIGKILL:
        assert b"InterruptedRunError: stopped; 2 of 6 jobs are done" in error
        statuses = [job["status"] for job in read_index(tmp_path)[0]["jobs"]]
        assert statuses == ["done", "done", *["waiting"] * 4]

    board, _ = scripted()
    assert board.having("done") == list(board.jobs)
    assert {name: begun(board, name) for name in ("teacher", "ml-predictions")} == {"teacher": 1, "ml-predictions": 2}


def test_gpus_are_those_that_the_user_lets_be_seen(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    assert visible_gpus() == ["2", "5"]
    assert fair_workers(10_000, "auto") == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert visible_gpus() == []


def test_cores_are_shared_fairly(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert [fair_workers(threads, "cpu") for threads in (1, 3, 9)] == [8, 2, 1]
    assert [fair_workers(threads, "auto") for threads in (1, 3, 9)] == [2, 2, 1]


def test_nothing_to_do_starts_no_worker(tmp_path, scripted, fake, monkeypatch):
    scripted()
    monkeypatch.setattr("preceptor.study.local.get_context", None)
    board = Board(study(), plan_study(study()).jobs, tmp_path)
    with Overview(Console(file=io.StringIO()), board) as overview:
        run_jobs(board, overview, LocalCrew(2, 1, device="cpu", work=fake))
