"""Studies on a Ray cluster of two nodes: one node is killed, or the command is stopped, in the middle of runs."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from preceptor.study.ray import RayCrew
from preceptor.study_index import read_index

from ..command import preceptor
from .studies import raw
from .test_work import contents

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed")

HERE = Path(__file__).parent
TWO_NODES = """
import sys
from ray.cluster_utils import Cluster

# A dead node is noticed after some seconds, not half a minute.
quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 1000, "health_check_failure_threshold": 3}
cluster = Cluster(
    initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, "_system_config": quick}
)
second = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
print(cluster.address, flush=True)
if sys.stdin.readline():
    cluster.remove_node(second, allow_graceful=False)
    print("killed", flush=True)
    sys.stdin.readline()
cluster.shutdown()
"""


@pytest.fixture
def cluster():
    """A process that holds two nodes of one core each; a line to it kills the second."""
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    process = subprocess.Popen(
        [sys.executable, "-c", TWO_NODES],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    try:
        yield process
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()  # its nodes die with it
        process.stdout.close()


@contextmanager
def studying(study, out, address):
    """The command as a process of its own, killed where the test has failed."""
    command = ["study", study, "--out", out, "--ray", address, "--device", "cpu"]
    with out.with_suffix(".log").open("a") as log:
        process = subprocess.Popen([sys.executable, "-m", "preceptor", *command], stdout=log, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def in_the_middle(out):
    """Runs with a checkpoint and no result."""
    runs = {checkpoint.parents[2] for checkpoint in out.glob("runs/*/checkpoints/*/last.ckpt")}
    return [run for run in runs if not (run / "result.json").exists()]


def until(condition, process, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"the command ended with {process.returncode} before it came to that"
        assert time.monotonic() < end, f"it did not happen in {seconds} s"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The study, with epochs enough that runs can be caught in the middle, and what one worker here makes of it."""
    folder = tmp_path_factory.mktemp("study")
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(raw(set=["training.epochs=15"]), sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRECEPTOR_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        assert preceptor("study", path, "--out", folder / "local", "--workers", 1, "--device", "cpu").code == 0
    return path, contents(folder / "local")


def assert_same(found, wanted):
    assert sorted(found) == sorted(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []


def test_a_lost_machine_leaves_no_room_rather_than_less_than_none():
    crew = object.__new__(RayCrew)
    crew._ray = SimpleNamespace(cluster_resources=lambda: {"CPU": 3.0, "memory": 1e9})
    crew._needs, crew._tasks = {"CPU": 2}, {}
    assert crew.free == 1
    crew._tasks = {"one": "a", "two": "b"}
    assert crew.free == 0


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(420)
def test_a_study_survives_the_loss_of_a_node_and_gives_the_numbers_of_one_worker(study, cluster, tmp_path):
    path, wanted = study
    out = tmp_path / "out"
    with studying(path, out, cluster.stdout.readline().strip()) as command:
        until(lambda: len(in_the_middle(out)) == 2, command)
        cluster.stdin.write("kill\n")
        cluster.stdin.flush()
        assert cluster.stdout.readline() == "killed\n"
        assert command.wait(timeout=150) == 0, out.with_suffix(".log").read_text()
    jobs = read_index(out)[0]["jobs"]
    assert {job["status"] for job in jobs} == {"done"}
    assert sorted(job["attempts"] for job in jobs) == [1, 1, 1, 1, 1, 2]
    assert_same(contents(out), wanted)


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(420)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_study_leaves_checkpoints_and_goes_on(study, cluster, tmp_path, number):
    path, wanted = study
    out, address = tmp_path / "out", cluster.stdout.readline().strip()
    with studying(path, out, address) as command:
        until(lambda: len(in_the_middle(out)) == 2, command)
        command.send_signal(number)
        assert command.wait(timeout=60) == 130, out.with_suffix(".log").read_text()
    stopped = in_the_middle(out)
    jobs = read_index(out)[0]["jobs"]
    assert {job["status"] for job in jobs} <= {"waiting", "done"}
    assert len(stopped) + sum(job["status"] == "done" for job in jobs) >= 2
    with studying(path, out, address) as command:
        assert command.wait(timeout=150) == 0, out.with_suffix(".log").read_text()
    for run in stopped:  # it went on, and did not begin anew
        said = (out / "logs" / f"{run.name}.log").read_text()
        assert sorted(map(int, re.findall(r"epoch (\d+)/15", said))) == list(range(1, 16))
    assert_same(contents(out), wanted)


@needs_ray
@pytest.mark.slow
def test_no_cluster_is_said_at_once(tmp_path):
    began = time.monotonic()
    answer = preceptor(
        "study",
        HERE.parents[1] / "studies" / "phantom.yaml",
        "--ray",
        "127.0.0.1:1",
        "--scale",
        "small",
        "--out",
        tmp_path / "out",
    )
    assert answer.code == 2
    assert "no cluster answers" in answer.error
    assert time.monotonic() - began < 30
