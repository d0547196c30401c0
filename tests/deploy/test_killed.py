"""``kill -9`` at random moments of predict, embed and export: the same bytes at the end, nothing half-written."""

import os
import random
import subprocess
import sys
import time

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from ..data.pixels.test_dicom import save
from .test_dicom_seg import PATIENT

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


def begun(process, has_begun):
    """Wait until the first byte is there; when that was."""
    while process.poll() is None and not has_begun():
        time.sleep(0.001)
    return time.monotonic()


def work_of(command, has_begun, has_ended):
    """Seconds from the first byte of a whole call to the last."""
    process = start(*command)
    since = begun(process, has_begun)
    seconds = begun(process, has_ended) - since
    finish(process)
    return seconds


def kill(command, has_begun, seconds):
    process = start(*command)
    begun(process, has_begun)
    time.sleep(seconds)
    if process.poll() is None:
        process.kill()
    process.communicate()


def killed_often(command, place, first, last, draw):
    """Killed within the first 70 % of the work and finished: the bytes of an undisturbed call, however often."""
    whole = place / "whole"
    seconds = work_of(command(whole), (whole / first).exists, (whole / last).exists)
    wanted, hits = contents(whole), 0
    for number in range(KILLS):
        out = place / str(number)
        kill(command(out), (out / first).exists, draw.uniform(0, 0.7 * seconds))
        hits += (out / first).exists() and not (out / last).exists()
        finish(start(*command(out)))
        assert contents(out) == wanted
    assert hits >= 15 * KILLS / 20


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_predict(mask_run, mask_data, tmp_path):
    """Each round has a folder of its own, is killed after its first byte, and then finished."""
    images, draw = tmp_path / "images", random.Random(0)
    images.mkdir()
    for number, file in enumerate(sorted((mask_data / "images").iterdir()) * 8):
        (images / f"{number}.png").symlink_to(file)

    def command(out):
        return "predict", mask_run, images, "--out", out, "--device", "cpu", "--overlay"

    killed_often(command, tmp_path, ".predict", "predictions.csv", draw)


def of_scan(path):
    """A DICOM file without when it was made."""
    found = pydicom.dcmread(path)
    for name in ("InstanceCreationDate", "InstanceCreationTime", "ContentDate", "ContentTime"):
        if name in found:
            del found[name]
    for one in found.ContributingEquipmentSequence:
        del one.ContributionDateTime
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_predict_with_dicom_segmentations(mask_run, tmp_path):
    """Masks first, then their DICOM SEG: killed in either, the same objects at the end."""
    scans, draw = tmp_path / "scans", random.Random(1)
    for number in range(24):
        values = np.random.default_rng(number).integers(0, 1000, (64, 80))
        values[20:40, 10 : 20 + number] = 4000
        save(scans / f"{number}.dcm", values, **PATIENT, SeriesInstanceUID=generate_uid(entropy_srcs=[str(number)]))

    def command(out):
        return "predict", mask_run, scans, "--out", out, "--device", "cpu", "--dicom-seg"

    def files(out):
        return {name: content for name, content in contents(out).items() if not name.startswith("segmentations")}

    whole = tmp_path / "whole"
    seconds = work_of(command(whole), (whole / ".predict").exists, (whole / "predictions.csv").exists)
    made = sorted(path.name for path in (whole / "segmentations").iterdir())
    assert len(made) == 24
    hits = 0
    for number in range(KILLS):
        out = tmp_path / str(number)
        kill(command(out), (out / ".predict").exists, draw.uniform(0, 0.9 * seconds))
        hits += (out / ".predict").exists() and not (out / "predictions.csv").exists()
        finish(start(*command(out)))
        assert files(out) == files(whole)
        assert sorted(path.name for path in (out / "segmentations").iterdir()) == made
        for name in made:
            assert of_scan(out / "segmentations" / name) == of_scan(whole / "segmentations" / name)
    assert hits >= 15 * KILLS / 20


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_embed(class_run, class_data, tmp_path):
    images, draw = tmp_path / "images", random.Random(2)
    images.mkdir()
    for number, file in enumerate(sorted(class_data.rglob("*.png")) * 40):
        (images / f"{number:05d}.png").symlink_to(file)

    def command(out):
        return "embed", class_run, images, "--out", out, "--device", "cpu"

    killed_often(command, tmp_path, ".embed", "embeddings.json", draw)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_export(class_run, tmp_path):
    draw = random.Random(0)

    def command(place):
        return "export", class_run, "--out", place / "b", "--int8", "off"

    def has_begun(place):
        place.mkdir()
        return lambda: any(place.iterdir())

    whole = tmp_path / "whole"
    seconds = work_of(command(whole), has_begun(whole), (whole / "b").exists)
    wanted, hits = contents(whole / "b"), 0
    for number in range(KILLS):
        place = tmp_path / str(number)
        kill(command(place), has_begun(place), draw.uniform(0, 0.7 * seconds))
        hits += any(place.iterdir()) and not (place / "b").exists()
        assert not (place / "b").exists() or contents(place / "b") == wanted
        finish(start(*command(place)))
        assert contents(place / "b") == wanted
        assert [path.name for path in place.iterdir()] == ["b"]
    assert hits >= 15 * KILLS / 20
