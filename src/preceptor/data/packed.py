"""A packed set on disk: opening it and reading rows of it."""

import json
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.data.samples import Pixels
from preceptor.errors import UserError
from preceptor.files import synced
from preceptor.randomness import keys
from preceptor.specs import Task

FORMAT = 1
_NUMBERS = ("label", "y", "x", "height", "width")
_REPEATED = ("group", "split", "parent")


class Rows:
    """Rows of equal size in a file of raw bytes.

    Reading copies out of the file rather than through a memory map, so the memory of a process that
    goes through all rows does not grow with their number. Safe to share between threads.

    Args:
        path: the file.
        shape: (N, …) of the uint8 array in it.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._row_bytes = int(np.prod(shape[1:]))
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def read(self, rows: NDArray[np.int64], out: Pixels | None = None) -> Pixels:
        """Copies of these ``rows``, (len(rows), …), in ``out`` where given."""
        out = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8) if out is None else out
        for place, row in zip(out.reshape(len(rows), self._row_bytes), rows.tolist(), strict=True):
            if not 0 <= row < self.shape[0]:
                raise IndexError(f"row {row} of {self.shape[0]} packed rows")
            if os.preadv(self._descriptor, [place.data], row * self._row_bytes) != self._row_bytes:
                raise OSError(f"row {row}: the packed file ends early")
        return out


class PackedSet:
    """A packed set, open for reading.

    Attributes:
        folder: where it lies.
        task, classes, grouping, notes, source: as in the sample table; ``grouping`` is ``image`` where
            images without a group were cut into tiles.
        size: (height, width) of a packed image.
        tile: (size, overlap) of the tiles, or None for whole images.
        fingerprint: of source files' names, sizes and contents, and of everything else the pixels depend on.
        frame: one row per packed image: ``id``, ``label``, ``group``, ``split``, ``pixels`` (a number, equal
            for equal images before resizing, for a tile that of its parent); for tiles also ``parent``, ``y``,
            ``x`` and the parent's ``height`` and ``width``.
        keys: (N,) uint64, the key of each id, for everything random about a sample.
        images: (N, H, W, 3) uint8 memory map.
        masks: (N, H, W) uint8 memory map, or None.
    """

    def __init__(self, folder: Path) -> None:
        about = _read_about(folder)
        self.folder = folder
        self.source: str = about["source"]
        self.task: Task = about["task"]
        self.classes: tuple[str, ...] = tuple(about["classes"])
        self.grouping: str | None = about["grouping"]
        self.notes: tuple[str, ...] = tuple(about["notes"])
        self.fingerprint: str = about["fingerprint"]
        self.size: tuple[int, int] = (about["size"][0], about["size"][1])
        tile = about.get("tile")
        self.tile: tuple[int, int] | None = (tile["size"], tile["overlap"]) if tile else None
        count: int = about["rows"]
        self.images = _map(folder / "images.u8", (count, *self.size, 3))
        self.masks = _map(folder / "masks.u8", (count, *self.size)) if self.task == "segmentation" else None
        self._image_rows = Rows(folder / "images.u8", self.images.shape)
        self._mask_rows = None if self.masks is None else Rows(folder / "masks.u8", self.masks.shape)
        self.frame, self.keys = _load_table(folder / "table.npz")

    def __len__(self) -> int:
        return len(self.frame)

    def __reduce__(self) -> tuple[Callable[[Path], "PackedSet"], tuple[Path]]:
        return open_packed, (self.folder,)

    def content_hashes(self) -> NDArray[np.uint8]:
        """(N, 16) hash of each image's pixels before resizing, of a tile those of its parent; read from disk anew.

        Equal exactly where two images are, in this packed set and in any other.
        """
        with np.load(self.folder / "table.npz") as stored:
            texts = np.append(stored["pixels"], np.uint8(0)).reshape(len(self), -1)[:, :-1]
        return np.frombuffer(bytes.fromhex(texts.tobytes().decode()), dtype=np.uint8).reshape(len(self), -1)

    def read(
        self, rows: NDArray[np.int64], images: Pixels | None = None, masks: Pixels | None = None
    ) -> tuple[Pixels, Pixels | None]:
        """Copies of ``rows``: (n, H, W, 3) images and (n, H, W) masks or None, into the arrays given, if any."""
        read = self._image_rows.read(rows, images)
        return read, None if self._mask_rows is None else self._mask_rows.read(rows, masks)


def open_packed(folder: Path) -> PackedSet:
    """Open a packed set; nothing is decoded and no pixel is read.

    Raises:
        UserError: there is none, it is damaged, or another version of preceptor made it.
    """
    try:
        return PackedSet(folder)
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{folder}: not a whole packed set ({error}). Delete the folder and train again.") from error


def save_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a packed table in a form that opens in a moment: plain arrays, texts joined, repeated texts once."""
    arrays: dict[str, NDArray[Any]] = {"keys": keys(frame["id"].tolist())}
    for name in frame.columns:
        if name in _NUMBERS:
            arrays[name] = frame[name].to_numpy(dtype=np.int64)
        elif name in _REPEATED:
            codes, texts = pd.factorize(frame[name].to_numpy(dtype=object), use_na_sentinel=True)
            arrays[name], arrays[f"{name}.texts"] = codes.astype(np.int32), _join(list(texts))
        else:
            arrays[name] = _join(frame[name].tolist())
    with synced(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _load_table(path: Path) -> tuple[pd.DataFrame, NDArray[np.uint64]]:
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    columns: dict[str, pd.Series[Any]] = {}
    for name in ("id", "label", "group", "split", "pixels", "parent", "y", "x", "height", "width"):
        if name not in arrays:
            continue
        if name in _NUMBERS:
            columns[name] = pd.Series(arrays[name])
        elif name == "pixels":
            columns[name] = pd.Series(_numbered(arrays[name], len(arrays["keys"])))
        elif name in _REPEATED:
            texts = np.array([*_split(arrays[f"{name}.texts"]), None], dtype=object)
            columns[name] = pd.Series(texts[arrays[name]], dtype=object)  # code -1 takes the None at the end
        else:
            columns[name] = pd.Series(_split(arrays[name]), dtype=object)
    return pd.DataFrame(columns), arrays["keys"]


def _numbered(joined: NDArray[np.uint8], count: int) -> NDArray[np.int64]:
    """The number of each of ``count`` hashes of equal length among all different ones: equal for equal pixels.

    A text for each would be the greater part of the memory that a packed set takes.
    """
    hashes = np.append(joined, np.uint8(0)).reshape(count, -1)
    return np.unique(hashes.view(f"S{hashes.shape[1]}")[:, 0], return_inverse=True)[1].astype(np.int64)


def _join(texts: list[str]) -> NDArray[np.uint8]:
    return np.frombuffer("\0".join(texts).encode(), dtype=np.uint8)


def _split(joined: NDArray[np.uint8]) -> list[str]:
    return joined.tobytes().decode().split("\0") if len(joined) else []


def _read_about(folder: Path) -> dict[str, Any]:
    about: dict[str, Any] = json.loads((folder / "meta.json").read_text())
    if about["format"] != FORMAT:
        raise UserError(
            f"{folder}: packed in format {about['format']}, this version reads {FORMAT}. Delete the folder."
        )
    return about


def _map(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    wanted = int(np.prod(shape))
    if path.stat().st_size != wanted:
        raise UserError(f"{path}: has {path.stat().st_size} bytes, not {wanted}. Delete the folder and train again.")
    return np.memmap(path, dtype=np.uint8, mode="r", shape=shape)
