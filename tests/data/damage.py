"""Damaging packed sets, making those of older versions, and folders that cannot be written."""

import ctypes
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from preceptor.data.samples import SampleTable, sample_frame

FILES = ("images.u8", "masks.u8", "table.npz", "stamps.npz", "meta.json", "sums.npz")


def flip(file: Path, bit: int) -> None:
    """Flip one bit of the file, in place."""
    with file.open("r+b") as opened:
        opened.seek(bit // 8)
        byte = opened.read(1)[0]
        opened.seek(bit // 8)
        opened.write(bytes([byte ^ 1 << bit % 8]))


_ONE_AT_A_TIME = threading.Lock()  # several threads of Python 3.11 cannot always parse a header at once


def masked_table(folder: Path, count: int = 6) -> SampleTable:
    """Images and masks in ``.npy`` files, so that reading them is quick."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    for number in range(count):
        pixels = rng.integers(0, 256, (9, 10, 3), dtype=np.uint8)
        if not (folder / f"{number}.npy").exists():
            np.save(folder / f"{number}.npy", pixels)
    ids = [str(number) for number in range(count)]

    def read(row: int):
        with _ONE_AT_A_TIME:
            pixels = np.load(folder / f"{row}.npy")
        return pixels, pixels[..., 0] // 128

    return SampleTable(
        source="made",
        task="segmentation",
        classes=("background", "nucleus"),
        frame=sample_frame(ids, ids, masks=ids, groups=[None, *(f"p{number // 2}" for number in range(1, count))]),
        read=read,
        grouping="patient",
        files=lambda row: (str(folder / f"{row}.npy"),),
        notes=("a note",),
    )


def all_of(packed) -> tuple[object, ...]:
    """Everything that a run takes from a packed set."""
    images, masks = packed.read(np.arange(len(packed)))
    return (
        *(packed.source, packed.task, packed.classes, packed.grouping, packed.notes, packed.size, packed.tile),
        packed.fingerprint,
        packed.frame.to_csv(),
        packed.keys.tobytes(),
        images.tobytes(),
        None if masks is None else masks.tobytes(),
        packed.content_hashes().tobytes(),
    )


def as_before_sums(folder: Path) -> None:
    """Make a packed set what older versions wrote."""
    about = json.loads((folder / "meta.json").read_text())
    del about["sha256"], about["table_sha256"]
    (folder / "meta.json").write_text(json.dumps(about, indent=1))
    (folder / "sums.npz").unlink()
    with np.load(folder / "stamps.npz") as stamps:
        arrays = dict(stamps)
    np.savez(folder / "stamps.npz", **arrays)


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Nothing below ``folder`` can be written, not even by root, whose right to override permissions rests."""
    found = [folder, *folder.rglob("*")]
    modes = [path.stat().st_mode for path in found]
    for path, mode in zip(found, modes, strict=True):
        path.chmod(mode & ~0o222)
    rights = _rights()
    _set_rights([rights[0] & ~0b110, *rights[1:]])  # DAC_OVERRIDE and DAC_READ_SEARCH, of this thread
    try:
        yield
    finally:
        _set_rights(rights)
        for path, mode in zip(found, modes, strict=True):
            if path.exists():
                path.chmod(mode)


_HEADER = (ctypes.c_uint32 * 2)(0x20080522, 0)


def _rights() -> list[int]:
    """This thread's capabilities: effective, permitted, inheritable; the low words, then the high ones."""
    data = (ctypes.c_uint32 * 6)()
    _call("capget", data)
    return list(data)


def _set_rights(rights: list[int]) -> None:
    _call("capset", (ctypes.c_uint32 * 6)(*rights))


def _call(name: str, data: ctypes.Array[ctypes.c_uint32]) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(_HEADER, data):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
