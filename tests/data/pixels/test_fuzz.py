"""Damaged small files of ten kinds: refused by name, or read as the whole file is; nothing else, and no crash."""

import random
import warnings

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from preceptor.data.images import read_stored
from preceptor.data.pixels.reading import ReadRequest
from preceptor.errors import UserError

from .test_dicom import save as save_dicom

VALUES = np.kron(np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))


def kinds(folder):
    """Ten files, by kind."""
    image = Image.fromarray(VALUES)
    for name, more in (
        ("a.png", {}), ("b.jpg", {"quality": 90}), ("c.jpg", {"progressive": True}), ("d.webp", {"lossless": True}),
        ("e.bmp", {}), ("f.tif", {"compression": "tiff_lzw"}),
    ):  # fmt: skip
        image.save(folder / name, **more)
    tifffile.imwrite(folder / "g.tif", VALUES.astype(np.uint16) * 257, photometric="rgb", compression="zlib")
    tifffile.imwrite(folder / "h.tif", VALUES[..., 0].astype(np.float32) / 255, tile=(16, 16))
    save_dicom(folder / "i.dcm", VALUES[..., 0].astype(np.uint16))
    nibabel.save(nibabel.Nifti1Image(VALUES[..., :1], np.eye(4)), folder / "j.nii.gz")
    return sorted(folder.iterdir())


def damaged(content, rng):
    """The content cut, with a run of zeros, or with some changed bytes; and whether it was only cut."""
    way = rng.randrange(3)
    start = rng.randrange(len(content))
    if way == 0:
        return content[:start], True
    changed = bytearray(content)
    if way == 1:
        changed[start : start + 64] = bytes(len(changed[start : start + 64]))
    else:
        for _ in range(rng.randrange(1, 6)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed), False


def fuzz(folder, count):
    rng = random.Random(0)
    refused = 0
    for file in kinds(folder):
        content = file.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            whole = read_stored(ReadRequest(path=file)).values
        for number in range(count):
            new, is_cut = damaged(content, rng)
            file.write_bytes(new)
            try:
                found = read_stored(ReadRequest(path=file)).values
            except UserError:
                refused += 1
                continue
            if is_cut:  # what follows the pixels may be gone
                assert np.array_equal(found, whole), f"{file.name}, number {number}: half read"
        file.write_bytes(content)
    return refused


def test_some_damaged_files_are_refused_or_whole(tmp_path):
    assert fuzz(tmp_path, 12) > 40


@pytest.mark.slow
def test_five_thousand_damaged_files_are_refused_or_whole(tmp_path):
    assert fuzz(tmp_path, 500) > 2000
