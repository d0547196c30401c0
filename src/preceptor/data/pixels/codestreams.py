"""What a compressed stream says of the size of what it holds, read without decoding it."""

import struct
from collections.abc import Iterator

Size = tuple[int, int, int]
"""Height, width, channels."""

_SIZES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}  # markers of frames; F7 is that of JPEG-LS
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_J2K = b"\xff\x4f\xff\x51"


def jpeg_size(stream: bytes) -> Size | None:
    """Of a JPEG or JPEG-LS; None where it says none."""
    place = stream.find(b"\xff\xd8") + 2
    while 2 <= place < len(stream) - 9 and stream[place] == 0xFF:
        marker = stream[place + 1]
        if marker in _SIZES:
            height, width, channels = struct.unpack_from(">HHB", stream, place + 5)
            return height, width, channels
        if marker == 0xFF:
            place += 1
        elif marker in _ALONE:
            place += 2
        else:
            place += 2 + int.from_bytes(stream[place + 2 : place + 4], "big")
    return None


def jpeg_scans(stream: bytes) -> int:
    """How often a JPEG goes over its image."""
    return stream.count(b"\xff\xda")


def j2k_sizes(stream: bytes) -> Iterator[tuple[Size, int]]:
    """Size and number of tiles of every JPEG 2000 stream in a file."""
    place = stream.find(_J2K)
    while 0 <= place <= len(stream) - 42:
        right, bottom, left, top, across, down, *first, channels = struct.unpack_from(">8IH", stream, place + 8)
        tiles = -(-(right - first[0]) // max(across, 1)) * -(-(bottom - first[1]) // max(down, 1))
        yield (bottom - top, right - left, channels), tiles
        place = stream.find(_J2K, place + 1)


def packbits_size(stream: bytes, most: int) -> int:
    """Bytes that run lengths stand for, counted until they are more than ``most``."""
    place, size, end = 0, 0, len(stream)
    while place < end and size <= most:
        number = stream[place]
        if number < 128:
            size += min(number + 1, end - place - 1)
            place += number + 2
        else:
            size += (257 - number) * (number > 128)
            place += 2 if number > 128 else 1
    return size
