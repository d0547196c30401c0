"""What is no regular file is named and never opened."""

import os
import socket

import pytest

from preceptor.errors import UserError
from preceptor.opening import no_file, open_file, read_text, require_file


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """Name -> what stands there."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.png")
    (tmp_path / "folder.png").mkdir()
    os.symlink("/dev/zero", "zero.png")
    os.symlink("gone.png", "dangling.png")
    os.symlink("loop.png", "loop.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
        yield {
            "pipe.png": r"is a named pipe \(FIFO\)",
            "folder.png": "is a folder",
            "zero.png": "is a device",
            "dangling.png": "is a link to 'gone.png', which does not exist",
            "loop.png": "is a link that leads back to itself",
            "socket.png": "is a socket",
            "none.png": "does not exist",
            "a\0b.png": "has a NUL character in its name",
            "x" * 300: "has a longer name than the system allows",
        }


@pytest.mark.parametrize("look", [require_file, open_file, read_text])
def test_each_is_named(odd, look):
    for name, wrong in odd.items():
        with pytest.raises(UserError, match=f"^image '.*' {wrong}"):
            look(name, "image")


def test_a_file_is_opened_and_read(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("ä", encoding="utf-8")
    assert no_file(file) is None
    assert read_text(file, "note") == "ä"
    with open_file(file, "note") as opened:
        assert opened.read() == "ä".encode()
        assert opened.name == str(file)


def test_a_file_that_becomes_a_pipe_in_between_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr("preceptor.opening.require_file", lambda path, what: None)
    with pytest.raises(UserError, match="is a named pipe"):
        open_file(tmp_path / "pipe", "image")
