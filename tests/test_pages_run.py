"""Pages whose commands are run as they stand, in a folder of their own; training is cut to an epoch."""

import subprocess
import sys
from collections.abc import Iterator
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


@pytest.fixture
def here(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Path]:
    """A working folder with images, shipped recipes and, for most pages, finished runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRECEPTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("preceptor.drafting.ask_hub", lambda: lambda: False)
    for name in ("recipes", "studies"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("slides", "cells"):
        (tmp_path / name).symlink_to(images / name)
    page: Path = request.getfixturevalue("page")
    if named(page) not in FROM_SCRATCH:
        for words in (
            ["init", "slides"],
            ["train", "slides.yaml", "--out", "runs/first"],
            ["train", "slides.yaml", "--out", "runs/alone", "--set", "technique.name=baseline"],
        ):
            ran(words)
    return tmp_path


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
        assert (here / "both" / "report.html").is_file()
    if page.name == "which.md":
        assert (here / "runs" / "studies" / "which-small" / "report.html").is_file()
