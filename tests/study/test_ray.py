"""A study on a Ray cluster of two nodes, one of which is killed, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ..command import preceptor
from .studies import raw
from .test_work import contents

pytest.importorskip("ray", reason="the extra `ray` is not installed")

HERE = Path(__file__).parent
ON_TWO_NODES = """
import os, signal, sys, threading, time
from pathlib import Path
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
second = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
out = Path(sys.argv[2])


def kill_second():  # once both nodes are in the middle of a run
    while sum(not (run.parents[2] / "result.json").exists() for run in out.glob("runs/*/checkpoints/*/last.ckpt")) < 2:
        time.sleep(0.05)
    cluster.remove_node(second, allow_graceful=False)
    (out / "killed").touch()


threading.Thread(target=kill_second, daemon=True).start()
sys.argv = ["preceptor", "study", sys.argv[1], "--out", str(out), "--ray", cluster.address, "--device", "cpu"]
from preceptor.cli.main import main

try:
    main()
finally:
    cluster.shutdown()
"""


def on_two_nodes(study, out):
    """The study on two nodes of one core each; the second is killed while both are at work."""
    command = [sys.executable, "-c", ON_TWO_NODES, study, out]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_study_survives_the_loss_of_a_node_and_gives_the_numbers_of_one_worker(tmp_path):
    study = tmp_path / "tiny.yaml"
    # Epochs enough that the runs on both nodes can be caught between two of them.
    study.write_text(yaml.safe_dump(raw(set=["training.epochs=15"]), sort_keys=False))
    assert preceptor("study", study, "--out", tmp_path / "local", "--workers", 1, "--device", "cpu").code == 0

    done = on_two_nodes(study, tmp_path / "ray")

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "ray" / "killed").exists()
    jobs = json.loads((tmp_path / "ray" / "index.json").read_text())["jobs"]
    assert {job["status"] for job in jobs} == {"done"}
    assert max(job["attempts"] for job in jobs) == 2
    one, other = contents(tmp_path / "local"), contents(tmp_path / "ray")
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


@pytest.mark.slow
def test_no_cluster_is_said():
    answer = preceptor(
        "study", HERE.parents[1] / "studies" / "phantom.yaml", "--ray", "127.0.0.1:1", "--scale", "small"
    )
    assert answer.code == 2
    assert "no cluster answers" in answer.error
