"""Files from strangers: what they would become is looked at before any decoder is asked, whatever it might bear.

A few bytes can stand for gigabytes, or for hours: by inflating, by a size that only a stream inside a file names, by
runs, by scans over the image, by pages and elements. Each of these is counted here, or the kind of file refused.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, BinaryIO

from preceptor.data.pixels.codestreams import Size, j2k_sizes, jpeg_scans, jpeg_size, packbits_size
from preceptor.data.pixels.reading import DamagedImageError, NotDecodableError, ReadRequest

_SCANS, _TILES, _READS, _SEQUENCE = 100, 4096, 60_000, 1 << 20
_DEFLATED = (b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.8.1")  # transfer syntaxes
_LISTS = (0x0028, 0x5200)  # groups of elements whose sequences are looked into
_JPEG, _J2K, _PACKBITS, _DEFLATE = 7, (33003, 33004, 33005, 34712), 32773, (8, 32946)
_TAKEN = frozenset({1, 2, 3, 4, 5, _JPEG, *_J2K, _PACKBITS, *_DEFLATE})  # with none, CCITT and LZW


class Counted(io.BytesIO):
    """A file that is read in so many pieces at most."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._left = _READS

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise DamagedImageError("it has more elements than an image")
        return super().read(size)


def dicom_of(opened: BinaryIO) -> BinaryIO:
    """A DICOM file that can be opened without harm.

    Raises:
        NotDecodableError: it is deflated.
    """
    content = opened.read()
    if any(syntax in content for syntax in _DEFLATED):
        raise NotDecodableError("is a deflated DICOM file: inflate it first, for example with `gdcmconv --raw`")
    return Counted(content)


def require_modest_dicom(found: Any, request: ReadRequest) -> None:
    """Look at the elements, and at the streams that hold the pixels of an opened file.

    Raises:
        DamagedImageError: they are other than the file says, or endless.
    """
    from pydicom.encaps import generate_frames

    for tag in found.keys():  # noqa: SIM118  # of the elements, which are not to be decoded
        if tag.group in _LISTS and (getattr(found.get_item(tag), "length", 0) or 0) > _SEQUENCE:
            raise DamagedImageError(f"its element {tag} is larger than that of an image")
    syntax = found.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated or "PixelData" not in found:
        return
    wanted = int(found.Rows), int(found.Columns), int(found.get("SamplesPerPixel") or 1)
    for frame in generate_frames(found.PixelData, number_of_frames=1):
        if syntax.name.startswith("RLE"):
            _require_modest_runs(frame, wanted[0] * wanted[1] * wanted[2] * (int(found.BitsAllocated) // 8))
        else:
            for height, width, _ in _stated(frame, "JPEG 2000" in syntax.name or "HTJ2K" in syntax.name, request):
                if (height, width) != wanted[:2]:
                    raise DamagedImageError(f"it holds {height} x {width}, {wanted[0]} x {wanted[1]} were expected")


def _require_modest_runs(frame: bytes, most: int) -> None:
    """Of a frame in the run lengths of DICOM: a header of places, then a segment for each byte of a value."""
    count, *places = struct.unpack("<16L", frame[:64])
    ends = [*places[1:count], len(frame)]
    size = 0
    for start, end in zip(places[:count], ends, strict=False):
        size += packbits_size(frame[start:end], most + 2)
        if size > most + 2 * count:  # a byte more makes the number of each even
            raise DamagedImageError("its runs are longer than the image")


def require_modest_picture(opened: BinaryIO, picture: Any, request: ReadRequest) -> None:
    """Look at a picture that Pillow has opened and not decoded; its position in the file stays.

    Raises:
        UserError: it has several frames, which take long to count.
        DamagedImageError: it would keep its decoder busy.
        OverflowError: the stream in it is larger than the file says.
    """
    if picture.format == "GIF" and picture.is_animated:
        raise request.several(2, "or more frames")
    if picture.format in ("JPEG", "MPO", "JPEG2000"):
        before = opened.tell()
        opened.seek(0)
        list(_stated(opened.read(), picture.format == "JPEG2000", request))
        opened.seek(before)


def require_modest_page(file: BinaryIO, page: Any, request: ReadRequest) -> None:
    """Look at the parts of the page of a TIFF that is to be decoded.

    Raises:
        NotDecodableError: a compression whose parts do not say what they become.
        DamagedImageError: they would become more than the image.
        OverflowError: the same, by what they say of their size.
    """
    if page.compression not in _TAKEN:
        raise NotDecodableError(f"is a TIFF with {page.compression.name} compression: save it with LZW or deflate")
    if page.imagedepth > 1 or page.tiledepth > 1:
        raise NotDecodableError("is a TIFF of a volume: one image was expected")
    if sum(page.databytecounts) > 2 * page.parent.filehandle.size:
        raise DamagedImageError("its parts together are larger than the file")
    pixels, most, has_limits = 0, _part_bytes(page), find_spec("imagecodecs") is not None
    for part in _parts(file, page):
        if page.compression == _JPEG or page.compression in _J2K:
            pixels += sum(height * width for height, width, _ in _stated(part, page.compression in _J2K, request))
            request.require_size(pixels, 1)
        elif not has_limits and _becomes(part, page.compression, most) > most:
            raise DamagedImageError("a part of it becomes more than it says")


def _parts(file: BinaryIO, page: Any) -> Iterator[bytes]:
    """The bytes of every strip or tile."""
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        file.seek(offset)
        yield file.read(count)


def _part_bytes(page: Any) -> int:
    """Of a whole strip or tile, decoded."""
    height = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
    width = page.tilewidth if page.is_tiled else page.imagewidth
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    return int(height * (-(-width * samples * page.bitspersample // 8)))


def _becomes(part: bytes, compression: int, most: int) -> int:
    """Bytes of a part that tifffile itself would decode, without a limit; counted until they are more than ``most``."""
    if compression in _DEFLATE:
        return len(zlib.decompressobj().decompress(part, most + 1))
    return packbits_size(part, most) if compression == _PACKBITS else 0


def _stated(stream: bytes, is_j2k: bool, request: ReadRequest) -> Iterator[Size]:
    """Sizes that a stream names, none of which is too large."""
    if is_j2k:
        for size, tiles in j2k_sizes(stream):
            request.require_size(*size)
            if tiles > _TILES or size[2] > 16:
                raise DamagedImageError(f"it has {tiles} tiles of {size[2]} channels")
            yield size
        return
    found = jpeg_size(stream)
    if found is None:
        raise DamagedImageError("its JPEG says nothing of its size")
    request.require_size(*found)
    if jpeg_scans(stream) > _SCANS:
        raise DamagedImageError(f"its JPEG goes over the image more than {_SCANS} times")
    yield found
