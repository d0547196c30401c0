"""A bundle behind HTTP: it answers as `predict` does, refuses what it must, and goes on."""

import asyncio
import base64
import io
import signal
import socket
import struct
import time
import zlib
from contextlib import AsyncExitStack

import numpy as np
import pytest
import tifffile
from PIL import Image

from preceptor.deploy.predictor import of_bundle
from preceptor.serve.limits import Inbox, Limits, RefusedError, Turns

from ..command import preceptor
from .bundles import bundle
from .calls import answer_of, call, serving

NO_TORCH = "import sys\nfor name in ('torch', 'timm'): sys.modules[name] = None  # importing it would fail"
NO_FILES = (
    "import sys\n"
    "def refuse(event, given):\n"
    "    writes = event == 'open' and isinstance(given[1], str) and set(given[1]) & set('wax+')\n"
    "    if writes or event in ('os.mkdir', 'os.rename', 'tempfile.mkstemp'): raise PermissionError(given)\n"
    "sys.addaudithook(refuse)\n"
)


def picture(colour, size=(20, 12), kind="PNG"):
    held = io.BytesIO()
    Image.new("RGB", size, colour).save(held, kind)
    return held.getvalue()


def noise(side):
    held = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)).save(held, "PNG")
    return held.getvalue()


NOISE = noise(1000)
"""Its answer with pictures is 8 MB, more than the system holds for whoever does not read."""

RED, GREY, DARK = picture((200, 60, 60)), picture((90, 90, 90)), picture((5, 5, 5))


def bomb(width, height):
    """A small PNG that says of itself that it is large."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def tiff(side, **more):
    held = io.BytesIO()
    tifffile.imwrite(held, np.zeros((side, side), dtype=np.uint8), compression="zlib", **more)
    return held.getvalue()


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    return bundle(tmp_path_factory.mktemp("serve") / "classes", least=0.6)


@pytest.fixture(scope="module")
def port(classes):
    more = ("--most-mb", 0.5, "--rate", 0, "--timeout", 0.5)
    with serving(classes, *more, before=NO_TORCH + "\n" + NO_FILES) as found:
        yield found


def test_an_answer_is_that_of_predict(port, classes, tmp_path):
    (tmp_path / "red.png").write_bytes(RED)
    expected = of_bundle(classes, is_calibrated=True).predict([tmp_path / "red.png"]).iloc[0]
    answer = call(port, body=RED)
    assert answer.status == 200
    (found,) = answer.json["answers"]
    assert found["label"] == expected["label"] == "b"
    assert found["probabilities"] == pytest.approx({"a": expected["p_a"], "b": expected["p_b"]}, abs=1e-6)
    assert found["outside"] == []
    assert not found["abstained"]


def test_it_says_where_it_is_not_to_be_trusted(port):
    (found,) = call(port, body=DARK).json["answers"]
    assert found["outside"] == ["brightness"]
    (found,) = call(port, body=GREY).json["answers"]  # probability 1/2, threshold 1/4: certainty 2/3
    assert found["certainty"] == pytest.approx(2 / 3, abs=1e-6)
    (found,) = call(port, body=picture((90, 120, 120))).json["answers"]
    assert found["certainty"] < 0.7


FORM = {"content-type": "multipart/form-data; boundary=x"}
CHUNKED = {"transfer-encoding": "chunked", "content-length": None}
REFUSED = [
    ("a gigabyte, said", 413, "more than 0.5 MB", {"headers": {"content-length": "1000000000"}}),
    ("a gigabyte, counted", 413, "more than 0.5 MB", {"headers": CHUNKED, "parts": [bytes(100_000)] * 10_000}),
    ("a decompression bomb", 422, "too large to decode", {"body": bomb(20_000, 20_000)}),
    ("a smaller bomb", 422, "25,000,000 are read", {"body": bomb(6_000, 6_000)}),
    ("a bomb of a TIFF", 422, "25,000,000 are read", {"body": tiff(6000)}),
    ("a bomb of one tile", 422, "25,000,000 are read", {"body": tiff(10, tile=(6016, 6016))}),
    ("a deflated DICOM", 422, "is a deflated DICOM", {"body": bytes(128) + b"DICM" + b"1.2.840.10008.1.2.1.99"}),
    ("a slow sender", 408, "had not arrived after 0.5 s", {"headers": {"content-length": "100"}}),
    ("a text named .png", 422, "is damaged or no image", {"body": b"no image at all"}),
    ("half an image", 422, "is damaged or no image", {"body": RED[:60]}),
    ("nothing", 400, "no image came", {}),
    ("a form", 415, "send the image itself", {"body": RED, "headers": FORM}),
    ("a wrong method", 405, "another method", {"method": "GET"}),
    ("a wrong path", 404, "/predict", {"path": "/images"}),
    ("a path out of the page", 404, "/predict", {"method": "GET", "path": "/../answer.py"}),
    ("another option", 422, "pictures", {"body": RED, "path": "/predict?pictures=perhaps"}),
    ("half a name", 421, "this server is called", {"body": RED, "headers": {"host": "["}}),
    ("another site's name", 421, "this server is called", {"body": RED, "headers": {"host": "evil.example"}}),
]  # fmt: skip


@pytest.mark.parametrize(("status", "words", "request_"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_refused_while_it_goes_on(status, words, request_, port):
    answer = call(port, **request_)
    assert (answer.status, list(answer.json)) == (status, ["error"])
    assert words in answer.json["error"]
    assert call(port, body=RED).status == 200


def test_a_head_that_does_not_arrive_ends_the_connection(port):
    for first in (b"", b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            if first:
                connection.sendall(first)
                assert answer_of(connection).status == 200
            connection.sendall(b"POST /predict HT")
            assert connection.recv(100) == b""


def test_the_page_asks_nobody_else_for_anything(port):
    for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
        answer = call(port, "GET", path)
        assert answer.status == 200
        assert answer.headers["content-type"].startswith(kind)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert b"://" not in answer.body


def test_health_and_version(port):
    assert call(port, "GET", "/health").json == {"status": "ok"}
    said = call(port, "GET", "/version").json
    assert (said["temperature"], said["threshold"], said["least_certainty"]) == (2.0, 0.25, 0.6)
    assert said["bundle"]["name"] == "red"
    assert said["limits"] == {"bytes": 500_000, "pixels": 25_000_000, "a_minute": 0, "seconds": 0.5}


def test_masks_with_their_pictures_and_a_rate(tmp_path):
    folder = bundle(tmp_path / "masks", task="segmentation")
    image = np.zeros((30, 40, 3), dtype=np.uint8)
    image[:, :20, 0] = 250
    held = io.BytesIO()
    Image.fromarray(image).save(held, "TIFF")
    with serving(folder, "--rate", 2, stop=signal.SIGINT, before=NO_FILES) as port:
        said = call(port, path="/predict?pictures=true", body=held.getvalue()).json
        mask, over = (
            np.asarray(Image.open(io.BytesIO(base64.b64decode(one.split(",")[1]))))
            for one in (said["answers"][0]["mask"], said["overlay"])
        )
        assert mask.shape == over.shape[:2] == (30, 40)
        assert (mask[:, :15] == 255).all()
        assert (mask[:, 25:] == 0).all()
        assert said["answers"][0]["shares"]["b"] == pytest.approx(5 / 8)
        assert call(port, body=RED).status == 200
        late = call(port, body=RED)
        assert late.status == 429
        assert 0 < int(late.headers["retry-after"]) <= 31
        assert call(port, "GET", "/health").status == 200


def test_turns_come_back_with_time_and_each_address_has_its_own():
    now = [0.0]
    turns = Turns(2, lambda: now[0])
    turns.take("x")
    turns.take("x")
    with pytest.raises(RefusedError):
        turns.take("x")
    turns.take("y")
    now[0] = 30.1
    turns.take("x")
    with pytest.raises(RefusedError):
        turns.take("x")


class Sent:
    """A request whose body comes in some parts."""

    def __init__(self, *parts):
        self.parts, self.headers = parts, {}

    async def stream(self):
        for part in self.parts:
            yield part


def test_images_that_wait_have_room_for_ten_of_the_largest():
    inbox = Inbox(Limits(most_bytes=10))

    async def fill():
        async with AsyncExitStack() as waiting:
            for _ in range(10):
                await waiting.enter_async_context(inbox.image(Sent(bytes(6), bytes(4))))
            with pytest.raises(RefusedError) as refused:
                await waiting.enter_async_context(inbox.image(Sent(bytes(1))))
            assert refused.value.status == 503
        async with inbox.image(Sent(b"later")) as image:
            assert image == b"later"

    asyncio.run(fill())


def begun(port, body, length=None, path="/predict"):
    """A connection on which an image, or the beginning of one, was sent, and from which nothing is read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(5)
    connection.connect(("127.0.0.1", port))
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {length or len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def test_whoever_does_not_take_the_answer_is_dropped(tmp_path):
    folder = bundle(tmp_path / "masks", task="segmentation")
    with serving(folder, "--timeout", 0.5) as port, begun(port, NOISE, path="/predict?pictures=true") as reader:
        time.sleep(2.5)
        answer = answer_of(reader)
        assert len(answer.body) < int(answer.headers["content-length"])  # what the system held, and no more
        assert call(port, body=RED).status == 200


def test_nobody_keeps_it_from_ending(tmp_path):
    """A slow sender, a slow reader, and a decoder that is busy for a minute, which nothing can interrupt."""
    folder = bundle(tmp_path / "masks", task="segmentation")
    busy = (
        "import time\nfrom preceptor.serve import answer, server\nserver._FAREWELL = 0.5\nwas = answer.Desk.answer\n"
        "answer.Desk.answer = lambda *a, **k: time.sleep(60) if a[1] == b'busy' else was(*a, **k)"
    )
    with serving(folder, before=busy) as port:
        sender, reader = begun(port, b"", 100), begun(port, NOISE, path="/predict?pictures=true")
        decoder = begun(port, b"busy")
        time.sleep(0.7)
    with sender, reader, decoder:
        answer = answer_of(sender)
        assert (answer.status, answer.json) == (503, {"error": "the server is being stopped"})


def test_answers_that_are_not_taken_have_the_same_room():
    inbox = Inbox(Limits(most_bytes=10))

    async def fill():
        async with AsyncExitStack() as waiting:
            with inbox.sending(95):
                await waiting.enter_async_context(inbox.image(Sent(bytes(5))))
                with pytest.raises(RefusedError) as refused:
                    await waiting.enter_async_context(inbox.image(Sent(bytes(1))))
                assert refused.value.status == 503
            inbox.require_room()
            with inbox.sending(96), pytest.raises(RefusedError, match="too many"):
                inbox.require_room()  # what arrived before is not answered either
        assert inbox.held == 0

    asyncio.run(fill())


def test_what_cannot_be_served(tmp_path, classes):
    answer = preceptor("serve", tmp_path)
    assert answer.code == 2
    assert "is no bundle" in answer.error
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = preceptor("serve", classes, "--port", taken.getsockname()[1])
    assert answer.code == 2
    assert "nothing can listen at '127.0.0.1'" in answer.error
