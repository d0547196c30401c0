"""How large a pixel is, where a file says it: DICOM, NIfTI, and TIFF with a resolution that a microscope can have."""

from typing import Any, BinaryIO

from preceptor.data.pixels import dicom, nifti
from preceptor.data.pixels.endings import DICOM_MAGIC, DICOM_SUFFIXES, NIFTI_SUFFIXES, ending_of
from preceptor.opening import open_file

LEAST, MOST = 0.05, 10.0
"""Microns that a pixel under a microscope may have: a TIFF of 72 dots an inch says 353, which nobody measured."""

_UNITS = {2: 25_400.0, 3: 10_000.0}  # inch and centimetre, in microns
_OF_IMAGEJ = ("unit=micron", "unit=um", "unit=\\u00b5m", "unit=\xb5m")


def microns_of(path: str, axis: int = 2) -> float | None:
    """Microns per pixel of an image file; None where it does not say, or cannot be read.

    Args:
        axis: along which volumes are cut.
    """
    try:
        if ending_of(path) in NIFTI_SUFFIXES:
            spacing = nifti.about(path, axis)[1]
            return _mean(*(1000 * size for place, size in enumerate(spacing) if place != axis))
        with open_file(path, "image") as opened:
            return microns_in(opened, path)
    except Exception:  # of many kinds; whoever reads the pixels says what is wrong
        return None


def microns_in(opened: BinaryIO, name: str) -> float | None:
    """As :func:`microns_of`, of what is open already and is left at its beginning.

    Args:
        name: its ending may say what kind of file it is.
    """
    try:
        head = opened.read(132)
        opened.seek(0)
        if head[128:132] == DICOM_MAGIC or ending_of(name) in DICOM_SUFFIXES:
            spacing = dicom.spacing_in(opened)
            return None if spacing is None else _mean(*(1000 * size for size in spacing))
        return _of_tiff(opened) if head[:2] in (b"II", b"MM") else None
    except Exception:  # as above
        return None
    finally:
        opened.seek(0)


def _of_tiff(opened: BinaryIO) -> float | None:
    import tifffile

    with tifffile.TiffFile(opened) as file:
        tags: Any = file.pages[0].tags
        text, unit = str(tags.valueof(270, default="")), int(tags.valueof(296, default=2))
        above, below = tags.valueof(282, default=(0, 1))
        is_of_imagej = text.startswith("ImageJ=") and any(words in text for words in _OF_IMAGEJ)
        size = (1.0 if is_of_imagej else _UNITS.get(unit, 0.0)) * below / above
    return size if LEAST <= size <= MOST else None


def _mean(rows: float, columns: float) -> float | None:
    return (rows * columns) ** 0.5 if rows > 0 and columns > 0 else None
