"""The scripts of docs/slurm.md, run as Slurm would run them, on one machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .study.studies import RAW, raw

SCRIPTS = Path(__file__).parents[1] / "docs" / "slurm"


@pytest.mark.slow
def test_the_array_and_its_collection_are_the_study(tmp_path):
    axes = {"technique": {"kd_offline": ["technique.name=kd_offline"]}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(raw(axes=axes, seeds=[0, 1], recipe=RAW["recipe"])))

    def submit(script, **variables):
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        command = ["bash", SCRIPTS / script, "tiny.yaml", "out", "--device", "cpu", "--workers", "1"]
        env = {**os.environ, "PATH": path, **variables}
        answer = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    assert "3 of 3 jobs done" in submit("study.sbatch", SLURM_ARRAY_TASK_ID="0")
    assert "3 of 3 jobs done" in submit("study.sbatch", SLURM_ARRAY_TASK_ID="1")
    collected = submit("collect.sbatch")
    assert collected.count(": reused from") == 6
    assert "6 of 6 jobs done" in collected
    assert (tmp_path / "out" / "all" / "report.html").is_file()
