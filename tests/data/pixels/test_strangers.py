"""Files from strangers: what would become too much is refused before it is decoded, what is sound is read as ever."""

import io
import struct
import sys
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from preceptor.data.images import image_in, read_image
from preceptor.errors import UserError

from .made import every
from .test_bulk import all_right
from .test_dicom import SHIPPED
from .test_dicom import save as save_dicom

MOST = 10_000
ZEROS = bytes(30_000_000)
NOISE = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)


def tiff(data, compression=1, *, bits=8, samples=1, more=(), next_=0):
    """A TIFF of 10 x 10 pixels in one strip, and what its pixels are."""
    tags = [(256, 3, 1, 10), (257, 3, 1, 10), (258, 3, 1, bits), (259, 3, 1, compression), (262, 3, 1, 1)]
    tags += [(273, 4, 1, 0), (277, 3, 1, samples), (278, 3, 1, 10), (279, 4, 1, len(data)), *more]
    where = 8 + 2 + 12 * len(tags) + 4
    tags[5] = (273, 4, 1, where)
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + struct.pack("<I", next_) + data


def jpeg(height, width, scans=1):
    """The beginning of a JPEG."""
    head = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\1\x11\0"
    return head + scans * b"\xff\xda\0\x08\1\1\0\0\x3f\0" + b"\xff\xd9"


def j2k(height, width, side=None):
    """The beginning of a JPEG 2000 stream."""
    side = side or max(height, width)
    sizes = struct.pack(">8IH", width, height, 0, 0, side, side, 0, 0, 1)
    return b"\xff\x4f\xff\x51\0\x29\0\0" + sizes + b"\7\1\1" + b"\xff\xd9"


def lying_jp2():
    held = io.BytesIO()
    Image.new("L", (10, 10)).save(held, "JPEG2000")
    content = held.getvalue()
    place = content.index(b"\xff\x4f\xff\x51") + 8
    return content[:place] + struct.pack(">II", 60_000, 60_000) + content[place + 8 :]


def frames(kind, count):
    held = io.BytesIO()
    first, *others = (Image.fromarray(NOISE[n:, n:].copy()).resize((9, 9)) for n in range(count))
    first.save(held, kind, save_all=True, append_images=others)
    return held.getvalue()


def dicom(tmp_path, syntax=None, frame=b"", **tags):
    path = save_dicom(tmp_path / "a.dcm", np.zeros((10, 10), dtype=np.uint16), **tags)
    found = pydicom.dcmread(path)
    if frame:
        found.file_meta.TransferSyntaxUID = syntax
        found.PixelData = encapsulate([frame])
        found["PixelData"].VR = "OB"
    held = io.BytesIO()
    found.save_as(held)
    return held.getvalue()


def elements(count, length=0xFFFFFFFF):
    """A DICOM file that begins with a sequence of empty items, which ends, or has a length."""
    head = bytes(128) + b"DICM"
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", 20) + b"1.2.840.10008.1.2.1\0"
    items = count * struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    length = min(length, len(items)) if length != 0xFFFFFFFF else length
    sequence = struct.pack("<HH2sHI", 0x5200, 0x9230, b"SQ", 0, length)
    return head + meta + sequence + items + (struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) if length > 2**31 else b"")


def deflated(tmp_path):
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    content = dicom(tmp_path).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    return content[:400] + deflate.compress(ZEROS) + deflate.flush()


def rle(size):
    """A frame of two segments, the second of which stands for so many bytes."""
    segments = b"\x9d\0\0\0", b"\x81\0" * (size // 128)
    return struct.pack("<16L", 2, 64, 68, *[0] * 13) + b"".join(segments)


OVERLAPPING = [(700 + n, 1, 900, 8) for n in range(3)]
BOMBS = {
    "dicom deflated": (deflated, "is a deflated DICOM file"),
    "dicom of endless elements": (lambda _: elements(250_000), "damaged or no image"),
    "dicom with an endless list": (lambda _: elements(200_000, 2**30), "larger than that of an image"),
    "dicom around a large j2k": (lambda path: dicom(path, JPEG2000, j2k(60_000, 60_000)), "60,000 x 60,000"),
    "dicom around another j2k": (lambda path: dicom(path, JPEG2000, j2k(90, 90)), "90 x 90, 10 x 10 were"),
    "dicom around a large jpeg": (lambda path: dicom(path, JPEGBaseline8Bit, jpeg(60_000, 60_000)), "60,000"),
    "dicom around another jpeg": (lambda path: dicom(path, JPEGLSLossless, jpeg(9, 10)), "9 x 10, 10 x 10 were"),
    "dicom of long runs": (lambda path: dicom(path, RLELossless, rle(10_000_000)), "runs are longer"),
    "dicom of wide values": (lambda path: dicom(path, Rows=90, Columns=100, BitsAllocated=80), "1 x 80 bits"),
    "tiff deflated": (lambda _: tiff(zlib.compress(ZEROS), 8), "becomes more than it says"),
    "tiff of long runs": (lambda _: tiff(b"\x81\0" * 10_000, 32773), "becomes more than it says"),
    "tiff around a large jpeg": (lambda _: tiff(jpeg(60_000, 60_000), 7), "60,000 x 60,000"),
    "tiff around a large j2k": (lambda _: tiff(j2k(60_000, 60_000), 33003), "60,000 x 60,000"),
    "tiff around j2k of many tiles": (lambda _: tiff(j2k(90, 90, 1), 33003), "8100 tiles"),
    "tiff around webp": (lambda _: tiff(b"RIFF", 50001), "WEBP compression"),
    "tiff around lzma": (lambda _: tiff(b"....", 34925), "LZMA compression"),
    "tiff of a circle of pages": (lambda _: tiff(bytes(100), next_=8), "more pages"),
    "tiff of values that overlap": (lambda _: tiff(bytes(999), more=OVERLAPPING), "says more of them"),
    "tiff of wide values": (lambda _: tiff(bytes(9000), bits=64, samples=90), "pixels"),
    "tiff of a volume": (lambda _: tiff(bytes(100), more=[(32997, 4, 1, 9_000_000)]), "planes of a volume"),
    "jpeg of many scans": (lambda _: jpeg(10, 10, scans=200), "more than 100 times"),
    "jp2 around a large stream": (lambda _: lying_jp2(), "60,000 x 60,000"),
    "gif of frames": (lambda _: frames("GIF", 3), "frames: one was expected"),
    "png of frames": (lambda _: frames("PNG", 3), "frames: one was expected"),
    "webp of frames": (lambda _: frames("WEBP", 3), "frames: one was expected"),
    "gzip": (lambda _: zlib.compress(ZEROS, wbits=31), "compressed with gzip"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_become_too_much_is_refused_first(name, tmp_path, monkeypatch):
    make, words = BOMBS[name]
    content = make(tmp_path)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    tracemalloc.start()
    try:
        with pytest.raises(UserError) as refused:
            image_in(io.BytesIO(content), "image", most=MOST)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert words in str(refused.value)
    assert peak < 20_000_000 + 3 * len(content)


def as_stranger(path):
    return image_in(io.BytesIO(path.read_bytes()), path.name, most=MOST)


def test_sound_files_are_read_as_ever(tmp_path):
    wrong, said = all_right(every()[::97], tmp_path, as_stranger)
    assert {why for why in wrong.values() if "compression: save it with LZW or deflate" not in why} == set()
    assert said.count(None) > 30


def test_sound_dicom_files_are_read_as_ever():
    wanted = {}
    for path in SHIPPED.glob("*.dcm"):
        if path.stat().st_size < 300_000:
            with suppress(UserError):
                wanted[path] = read_image(path)
    assert len(wanted) > 30
    for path, pixels in wanted.items():
        if path.name == "image_dfl.dcm":
            continue
        found = image_in(io.BytesIO(path.read_bytes()), "image", most=4_000_000)
        assert np.array_equal(found, pixels), path.name


@pytest.mark.parametrize(
    ("kind", "more"),
    [("JPEG", {"quality": 90}), ("JPEG", {"progressive": True}), ("JPEG2000", {}), ("WEBP", {}), ("GIF", {})],
)
def test_sound_pictures_are_read_as_ever(kind, more, tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "a", kind, **more)
    assert np.array_equal(as_stranger(tmp_path / "a"), read_image(tmp_path / "a"))
