"""What an image file says it holds, from its first bytes: bits and channels, nothing decoded."""

import logging
import struct
from pathlib import Path

from preceptor.data.pixels.endings import DICOM_MAGIC, NIFTI_SUFFIXES, ending_of
from preceptor.opening import open_file

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KINDS = {0: "grey", 2: "colour", 3: "palette", 4: "grey with alpha", 6: "colour with alpha"}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def stored_kind(path: str | Path) -> str:
    """For example ``PNG, 8 bit colour``; ``other`` where the first bytes do not say it.

    Raises:
        UserError: no regular file.
    """
    with open_file(path, "image") as file:
        start = file.read(132)
        if start[128:] == DICOM_MAGIC:
            return "DICOM"
        if ending_of(str(path)) in NIFTI_SUFFIXES:
            return "NIfTI"
        if start.startswith(_PNG) and len(start) >= 26:
            bits, kind = start[24], _PNG_KINDS.get(start[25], "unknown")
            return f"PNG, {bits} bit {kind}"
        if start.startswith(b"\xff\xd8\xff"):
            return "JPEG, 8 bit"
        if start[:4] in _TIFF:
            return _tiff_kind(path)
        if start.startswith(b"BM"):
            return "BMP, 8 bit"
        if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
            return "WebP, 8 bit"
        if start[:4] == b"GIF8":
            return "GIF, 8 bit palette"
    return "other"


def _tiff_kind(path: str | Path) -> str:
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong is told by whoever reads the file
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            kind = {1: "whole numbers", 2: "signed numbers", 3: "floating point"}.get(int(page.sampleformat), "numbers")
            channels = int(page.samplesperpixel)
            return f"TIFF, {page.bitspersample} bit {kind}, {channels} channel{'s' if channels > 1 else ''}"
    except (OSError, ValueError, KeyError, IndexError, TypeError, struct.error, tifffile.TiffFileError):
        return "TIFF"
