"""Names of image files: what their endings are, and what is before them."""

import os

DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})
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


def parted(name: str) -> tuple[str, str]:
    """``name`` without its ending, and the ending; ``.nii.gz`` is one."""
    stem, ending = os.path.splitext(name)
    if ending.lower() == ".gz" and stem.lower().endswith(".nii"):
        return stem[:-4], stem[-4:] + ending
    return stem, ending


def ending_of(name: str) -> str:
    """The ending of a file's name, in small letters."""
    return parted(name)[1].lower()
