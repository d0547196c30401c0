"""Pages whose commands are run as they stand, in a folder of their own; training is cut to an epoch."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .command import preceptor
from .pages import PAGES, ROOT, Block, blocks, named

FROM_SCRATCH = {"README.md", "docs/index.md", "docs/own-images.md", "docs/tutorials/tiles.md"}
"""Pages that make the runs that they speak of."""
RUNNING = [page for page in PAGES if any(block.commands and not block.needs for block in blocks(page))]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``slides`` with a class a folder, ``cells`` with masks; patients in the names."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for number in range(48):
        name = f"patient-{number // 4}_{number}.png"
        pixels = rng.integers(0, 120, (32, 32, 3), dtype=np.uint8)
        pixels[..., number % 2] += 120
        mask = np.zeros((32, 32), dtype=np.uint8)
        mask[4 : 12 + number % 8, 4:20] = 255
        for place, values in (
            (f"slides/{'ab'[number % 2]}", pixels),
            ("cells/images", np.maximum(pixels, mask[..., None] // 2)),
            ("cells/masks", mask),
        ):
            (root / place).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(root / place / name)
    return root


@pytest.fixture(scope="module")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the four commands were typed, and a student was trained alone."""
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        settle(root, images, patch)
        ran(["init", "slides"])
        ran(["train", "slides.yaml", "--out", "runs/first"])
        ran(["train", "slides.yaml", "--out", "runs/alone", "--set", "technique.name=baseline"])
    return root


@pytest.fixture
def here(
    request: pytest.FixtureRequest, page: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A working folder with images, shipped recipes and, for most pages, finished runs."""
    settle(tmp_path, images, monkeypatch)
    if named(page) not in FROM_SCRATCH and page.parent.name != "tutorials":
        there: Path = request.getfixturevalue("finished")
        for name in ("runs", "cache"):
            shutil.copytree(there / name, tmp_path / name)
        shutil.copy(there / "slides.yaml", tmp_path)
    return tmp_path


def settle(place: Path, images: Path, patch: pytest.MonkeyPatch) -> None:
    """Go to ``place``, where images and shipped recipes lie; the hub is not asked."""
    patch.chdir(place)
    patch.setenv("PRECEPTOR_CACHE", str(place / "cache"))
    patch.setattr("preceptor.drafting.ask_hub", lambda: lambda: False)
    for name in ("recipes", "studies"):
        (place / name).symlink_to(ROOT / name)
    for name in ("slides", "cells"):
        (place / name).symlink_to(images / name)


def ran(words: list[str]) -> str:
    """What a command prints; training is cut to an epoch, and said where it fails."""
    words = [*words]
    if words[0] == "train":
        words += ["--set", "training.epochs=1", "teacher_training={}"]
    answer = preceptor(*words)
    assert answer.code == 0, f"preceptor {' '.join(words)}\n{answer.out[-2000:]}\n{answer.error}"
    return answer.out


def run_block(block: Block) -> None:
    """Run the commands of a block, or what stands in it in Python; keep a file that it shows under its name."""
    first, _, _ = block.text.partition("\n")
    if block.language == "yaml" and first.startswith("# ") and first.endswith(".yaml"):
        Path(first.removeprefix("# ")).write_text(block.text)
    if block.language == "python" and block.page.parent.name == "tutorials":
        subprocess.run([sys.executable, "-c", block.text], check=True)
    if block.needs:
        return
    for words in block.commands:
        assert words[0] == "preceptor"
        if ">" in words:
            place = words.index(">")
            Path(words[place + 1]).write_text(ran(words[1:place]))
        else:
            ran(words[1:])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", RUNNING, ids=named)
def test_the_commands_of_a_page(page: Path, here: Path) -> None:
    if page.name == "which.md":  # goes on where the first tutorial ends
        for block in blocks(page.parent / "tiles.md"):
            if block.language == "python":
                run_block(block)
        ran(["init", "tiles"])
    for block in blocks(page):
        run_block(block)
    if page.name == "tiles.md":
        assert (here / "answers" / "predictions.csv").read_text().count("\n") == 121
        report = (here / "both" / "report.html").read_text()
        assert "No verdict is possible on accuracy of S1: with 4 independent patients" in report
    if page.name == "which.md":
        assert (here / "runs" / "studies" / "which-small" / "report.html").is_file()
