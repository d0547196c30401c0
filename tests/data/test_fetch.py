"""Downloads against a server on this machine: whole, interrupted, altered, and with nothing left to send."""

import gzip
import hashlib
import io
import re
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from preceptor.data.fetch import fetch
from preceptor.data.published import Published, Remote, published
from preceptor.errors import UserError


class Server:
    """Serves ``content`` by path; each of ``cuts`` ends one answer after so many bytes."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.cuts: list[int] = []
        self.ranges: list[str | None] = []
        self.knows_ranges = True
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                server.ranges.append(wanted)
                content = server.content.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.knows_ranges else 0
                if start >= len(content) > 0:
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.end_headers()
                    return
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                body = content[start:]
                self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"

    def remote(self, name: str, content: bytes, unpack=None) -> Published:
        """A data set of one file that this server has, with its right hash."""
        self.content[f"/{name}"] = content
        file = Remote(name, f"{self.address}/{name}", f"md5:{hashlib.md5(content).hexdigest()}", unpack)
        return Published("folder", "set", "A set", "CC0", "here", (file,))


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    served = Server()
    thread = threading.Thread(target=served.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.http.shutdown()
    thread.join()
    served.http.server_close()


CONTENT = bytes(range(256)) * 4000


def test_download_with_progress_and_no_second_one(server, tmp_path):
    told: list[tuple[str, int, int | None]] = []
    remote = server.remote("data.bin", CONTENT)
    folder = fetch(remote, tmp_path, progress=lambda *step: told.append(step))
    assert folder == tmp_path / "set"
    assert (folder / "data.bin").read_bytes() == CONTENT
    assert told[-1] == ("data.bin", len(CONTENT), len(CONTENT))
    fetch(remote, tmp_path)
    assert server.ranges == [None], "a file that is there with the right hash is left alone"
    assert [file.name for file in folder.iterdir()] == ["data.bin"]


def test_a_broken_connection_is_taken_up_where_it_ended(server, tmp_path):
    server.cuts = [300_000, 200_000]
    folder = fetch(server.remote("data.bin", CONTENT), tmp_path)
    assert (folder / "data.bin").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_an_interrupted_command_goes_on(server, tmp_path):
    server.cuts = [300_000, 0]
    remote = server.remote("data.bin", CONTENT)
    with pytest.raises(UserError, match="300000 bytes are kept; the same command again goes on"):
        fetch(remote, tmp_path)
    assert not (tmp_path / "set" / "data.bin").exists()
    server.ranges.clear()
    fetch(remote, tmp_path)
    assert server.ranges == ["bytes=300000-"]
    assert (tmp_path / "set" / "data.bin").read_bytes() == CONTENT


def test_servers_without_ranges_start_again(server, tmp_path):
    server.knows_ranges = False
    server.cuts = [300_000]
    folder = fetch(server.remote("data.bin", CONTENT), tmp_path)
    assert (folder / "data.bin").read_bytes() == CONTENT


def test_a_complete_part_is_used(server, tmp_path):
    remote = server.remote("data.bin", CONTENT)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "data.bin.part").write_bytes(CONTENT)
    fetch(remote, tmp_path)
    assert (tmp_path / "set" / "data.bin").read_bytes() == CONTENT
    (tmp_path / "set" / "data.bin").unlink()
    (tmp_path / "set" / "data.bin.part").write_bytes(CONTENT + b"of something else")
    fetch(remote, tmp_path)
    assert (tmp_path / "set" / "data.bin").read_bytes() == CONTENT


def test_a_wrong_hash_is_refused_and_leaves_nothing(server, tmp_path):
    remote = server.remote("data.bin", CONTENT)
    server.content["/data.bin"] = CONTENT[::-1]
    with pytest.raises(UserError, match=r"data\.bin from .* does not have the published hash md5:"):
        fetch(remote, tmp_path)
    assert list((tmp_path / "set").iterdir()) == []


def test_unreachable_and_missing_files(server, tmp_path):
    remote = server.remote("data.bin", CONTENT)
    server.content.clear()
    with pytest.raises(UserError, match="the server answers 404"):
        fetch(remote, tmp_path)
    nowhere = Remote("data.bin", "http://127.0.0.1:1/data.bin", "md5:00")
    with pytest.raises(UserError, match="the connection failed"):
        fetch(Published("folder", "set", "A set", "CC0", "here", (nowhere,)), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        fetch(remote, tmp_path / "file")


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, f"content of {name}" if not name.endswith("/") else "")
    return file.getvalue()


def test_zips_are_unpacked_and_repaired(server, tmp_path):
    remote = server.remote("set.zip", zipped("a/", "a/1.txt", "a/2.txt", "__MACOSX/a/._1.txt", ".DS_Store"), "zip")
    folder = fetch(remote, tmp_path)
    assert {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} == {
        "set.zip",
        "a/1.txt",
        "a/2.txt",
    }
    (folder / "a" / "1.txt").unlink()
    (folder / "a" / "2.txt").write_text("cut")
    fetch(remote, tmp_path)
    assert (folder / "a" / "1.txt").read_text() == "content of a/1.txt"
    assert (folder / "a" / "2.txt").read_text() == "content of a/2.txt"
    assert len(server.ranges) == 1


def test_flat_zips_go_into_a_folder_of_their_name(server, tmp_path):
    folder = fetch(server.remote("part_1.zip", zipped("1.jpg", "deep/2.jpg"), "flat"), tmp_path)
    assert sorted(file.name for file in (folder / "part_1").iterdir()) == ["1.jpg", "2.jpg"]


def test_archives_cannot_write_elsewhere(server, tmp_path):
    with pytest.raises(UserError, match=r"unsafe path '\.\./evil\.txt'"):
        fetch(server.remote("set.zip", zipped("../evil.txt"), "zip"), tmp_path)
    assert not (tmp_path / "evil.txt").exists()


def test_gzip_and_broken_archives(server, tmp_path):
    folder = fetch(server.remote("x.h5.gz", gzip.compress(CONTENT), "gzip"), tmp_path)
    assert (folder / "x.h5").read_bytes() == CONTENT
    with pytest.raises(UserError, match=r"y\.h5\.gz' cannot be unpacked"):
        fetch(server.remote("y.h5.gz", gzip.compress(CONTENT)[:-100], "gzip"), tmp_path)
    assert not (folder / "y.h5").exists()
    with pytest.raises(UserError, match=r"z\.zip' cannot be unpacked"):
        fetch(server.remote("z.zip", b"no zip", "zip"), tmp_path)


@pytest.mark.parametrize("key", ["kather2016", "pcam", "ham10000", "medmnist:pathmnist", "medmnist:organsmnist_224"])
def test_published_sets_have_hashes_and_terms(key):
    remote = published(key)
    assert remote.licence
    assert remote.home.startswith("doi:")
    names = [file.name for file in remote.files]
    assert len(set(names)) == len(names)
    for file in remote.files:
        assert re.fullmatch(r"md5:[0-9a-f]{32}", file.digest)
        assert file.url.startswith("https://")


def test_unknown_sets():
    with pytest.raises(UserError, match=r"'lgg' cannot be fetched\. Known: kather2016, pcam, ham10000, medmnist:NAME"):
        published("lgg")
    with pytest.raises(UserError, match="'chestmnist' is no set"):
        published("medmnist:chestmnist")
    with pytest.raises(UserError, match=r"which one\?.* Names: bloodmnist"):
        published("medmnist")


def test_fetched_sets_are_what_the_sources_read(server, tmp_path):
    """The archive of kather2016 unpacks to the layout that its source opens."""
    from preceptor.data.sources import open_source

    from .test_sources import KATHER
    from .trees import save_image

    tree = tmp_path / "tree"
    for name in KATHER:
        save_image(tree / "Kather_texture_2016_image_tiles_5000" / name / "a.tif")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for image in sorted(Path(tree).rglob("*.tif")):
            archive.write(image, image.relative_to(tree))
    folder = fetch(server.remote("tiles.zip", file.getvalue(), "zip"), tmp_path)
    assert len(open_source("kather2016", str(folder))) == 8
