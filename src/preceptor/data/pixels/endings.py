"""Names of image files: what their endings are, what is before them, and DICOM files that have none."""

import os
import stat

DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
NIFTI_SUFFIXES = frozenset({".nii", ".nii.gz"})
IMAGE_SUFFIXES = (
    frozenset(
        {
            ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".j2k", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm",
            ".pgm", ".pbm", ".pnm",
        }
    )
    | DICOM_SUFFIXES
    | NIFTI_SUFFIXES
)  # fmt: skip
DICOM_MAGIC = b"DICM"
"""Stands at byte 128 of a DICOM file."""
_LIST_OF_FILES = "DICOMDIR"


def parted(name: str) -> tuple[str, str]:
    """``name`` without its ending, and the ending; ``.nii.gz`` is one, and a number, as of ``1.2.840.10008``, none."""
    stem, ending = os.path.splitext(name)
    if ending.lower() == ".gz" and stem.lower().endswith(".nii"):
        return stem[:-4], stem[-4:] + ending
    return (name, "") if ending[1:].isdigit() else (stem, ending)


def ending_of(name: str) -> str:
    """The ending of a file's name, in small letters."""
    return parted(name)[1].lower()


def is_image(path: str | os.PathLike[str]) -> bool:
    """Whether a file is an image by its ending, or has none and is DICOM by its first bytes."""
    ending = ending_of(os.fspath(path))
    return ending in IMAGE_SUFFIXES or (not ending and begins_as_dicom(path))


def begins_as_dicom(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as DICOM does and is no list of files, as they lie on a disc from a scanner."""
    if os.path.basename(path).upper() == _LIST_OF_FILES:
        return False
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for
            return False
        with open(path, "rb", buffering=0) as opened:
            return opened.read(132)[128:] == DICOM_MAGIC
    except OSError:
        return False
