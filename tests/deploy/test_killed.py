"""``kill -9`` at random moments of predict and of export: the same bytes at the end, nothing half-written."""

import os
import random
import subprocess
import sys
import time

import pytest

KILLS = 20


def start(*arguments):
    command = [sys.executable, "-m", "preceptor", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)


def finish(process):
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error.decode()


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in ("lock", "plan.json")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_predict(mask_run, mask_data, tmp_path):
    """Each round has a folder of its own, killed once after its first byte and then finished."""
    images, draw = mask_data / "images", random.Random(0)
    options = ["--device", "cpu", "--overlay"]
    finish(start("predict", mask_run, images, "--out", tmp_path / "whole", *options))
    wanted, hits = contents(tmp_path / "whole"), 0
    for number in range(KILLS):
        out = tmp_path / str(number)
        process = start("predict", mask_run, images, "--out", out, *options)
        while process.poll() is None and not (out / ".predict").exists():
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.25))
        if process.poll() is None:
            process.kill()
        process.communicate()
        hits += not (out / "predictions.csv").exists()
        finish(start("predict", mask_run, images, "--out", out, *options))
        assert contents(out) == wanted
    print(f"{hits} of {KILLS} kills before the last byte")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_export(class_run, tmp_path):
    draw = random.Random(0)
    finish(start("export", class_run, "--out", tmp_path / "whole", "--int8", "off"))
    wanted, hits = contents(tmp_path / "whole"), 0
    for number in range(KILLS):
        place = tmp_path / str(number)
        place.mkdir()
        process = start("export", class_run, "--out", place / "b", "--int8", "off")
        while process.poll() is None and not any(place.iterdir()):
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.6))
        if process.poll() is None:
            process.kill()
        process.communicate()
        hits += not (place / "b").exists()
        assert not (place / "b").exists() or contents(place / "b") == wanted
        finish(start("export", class_run, "--out", place / "b", "--int8", "off"))
        assert contents(place / "b") == wanted
        assert [path.name for path in place.iterdir()] == ["b"]
    print(f"{hits} of {KILLS} kills before the last byte")
