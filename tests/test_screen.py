"""What is printed: names stay text, and whoever stops reading stops the work without losing it."""

import io
import os
import signal
import subprocess
import sys

import pytest
from rich.table import Table

from preceptor.errors import ClosedOutputError
from preceptor.screen import Screen


def printed(*things):
    file = io.StringIO()
    Screen(file=file, width=60).print(*things)
    return file.getvalue()


@pytest.mark.parametrize("name", ["[red]tumour[/red]", "[/x]", ":smile:", "[link=http://x]a[/link]"])
def test_a_name_is_no_markup(name):
    assert name in printed(name)
    table = Table(title=name)
    table.add_column(name)
    table.add_row(name)
    assert printed(table).count(name) == 3


def test_a_name_moves_no_cursor():
    name = "\x1b]0;title\x07\x1b[2J\u202e"
    table = Table(title=name)
    table.add_column(name)
    table.add_row(name)
    for text in (printed(name), printed(table)):
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "\u202e" not in text
        assert r"\x1b]0;title\x07\x1b[2J\u202e" in text


class Gone(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


def test_outside_training_a_closed_output_ends_the_command():
    with pytest.raises(ClosedOutputError, match="goes on"):
        Screen(file=Gone(), farewell="the same command goes on").print("x")


def test_in_training_a_closed_output_asks_to_stop_once(monkeypatch):
    asked = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    try:
        screen = Screen(file=Gone())
        screen.print("x")
        screen.print("y")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert asked == [signal.SIGTERM]


@pytest.mark.parametrize("arguments", [["methods"], ["methods", "--markdown"], ["--help"]], ids=" ".join)
def test_head_ends_a_listing_quietly(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "preceptor", *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_closed_output_takes_no_files_number(tmp_path):
    """Without a place of its own the next file that is opened would get number 1, and what is printed."""
    code = (
        "import os, sys\nos.close(1)\nsys.argv = ['preceptor', '--version']\n"
        "from preceptor.streams import open_standard_streams\nopen_standard_streams()\n"
        f"assert os.open({str(tmp_path / 'x')!r}, os.O_CREAT | os.O_WRONLY) > 2\n"
        "from preceptor.cli.main import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "x").read_bytes() == b""


@pytest.mark.slow
def test_head_ends_training_with_a_checkpoint(tmp_path):
    """And the same command goes on to the bits of one that nobody stopped."""
    changes = ["data.options.images=96", "technique.name=baseline", "networks.count=1", "training.threads=1"]
    changes += ["training.epochs=3", "training.placement=fixed"]
    recipe = os.path.join(os.path.dirname(__file__), "..", "recipes", "phantom.yaml")

    def train(out):
        line = [sys.executable, "-m", "preceptor", "train", recipe, "--set", *changes, "--out", out, "--device", "cpu"]
        return subprocess.Popen(list(map(str, line)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    stopped = train(tmp_path / "a")
    while "epoch 1/3" not in stopped.stdout.readline():
        pass
    stopped.stdout.close()
    words = stopped.stderr.read()
    stopped.stderr.close()
    assert stopped.wait() == 141
    assert "a checkpoint is in" in words
    assert (tmp_path / "a" / "checkpoints" / "main" / "last.ckpt").exists()
    for out in ("a", "b"):
        assert train(tmp_path / out).communicate() is not None
    for name in ("networks/S1/model.safetensors", "metrics.csv", "predictions/test.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_narrow_terminal_cuts_no_number():
    table = Table(box=None)
    numbers = [f"0.{number:04d}" for number in range(1, 13)]
    for number in range(12):
        table.add_column(f"measure{number}", justify="right")
    table.add_row(*numbers)
    text = printed(table)
    assert "…" not in text
    assert all(number in text for number in numbers)
    assert len(text.splitlines()) == 2
    assert len(printed("word " * 30).splitlines()) > 2, "sentences are broken as before"
