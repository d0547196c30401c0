"""A packed set on disk: opening it and reading rows of it.

Nothing of it is believed: ``meta.json`` bears its seal and names that of ``table.npz``; ``sums.npz`` bears its own and
has the checksum of every row of ``images.u8`` and ``masks.u8``, which is compared whenever the row is read. Sets from
before there were seals have none of these; :func:`add_sums` seals what they hold.
"""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.data.rows import ANEW, CHANGED, Checksums, PackedRows
from preceptor.data.samples import KNOWN, Pixels
from preceptor.errors import DamagedFileError, UserError
from preceptor.files import synced, write_with
from preceptor.randomness import keys
from preceptor.sealed import read_sealed, read_zip, sealed_zip, write_sealed
from preceptor.specs import Task

FORMAT = 1
ABOUT, TABLE, SUMS = "meta.json", "table.npz", "sums.npz"
HASH_BYTES = 16
READING = 2
"""How files become pixels: raised where the pixels of some files become others, so that sets from before are made anew.
2: orientation tags are applied; several kinds of TIFF are read otherwise."""
_TABLE_SEAL = "table_sha256"
_PLACING = ("tile", "resize", "as_timm", "padding")
_NUMBERS = ("label", KNOWN, "y", "x", "height", "width")
_REPEATED = ("group", "split", "parent")


class PackedSet:
    """A packed set, open for reading.

    Attributes:
        folder: where it lies.
        task, classes, grouping, notes, source: as in the sample table; ``grouping`` is ``image`` where
            images without a group were cut into tiles.
        size: (height, width) of a packed image.
        tile: (size, overlap) of the tiles, or None for whole images.
        placing: how images came to ``size``, as plain values: see :func:`placing_of`.
        fingerprint: of source files' names, sizes and contents, and of everything else the pixels depend on.
        frame: one row per packed image: ``id``, ``label``, ``group``, ``split``, ``pixels`` (a number, equal
            for equal images before resizing, for a tile that of its parent); for tiles also ``parent``, ``y``,
            ``x`` and the parent's ``height`` and ``width``; and ``known``, as in the sample table.
        keys: (N,) uint64, the key of each id, for everything random about a sample.
        channels, depth: of the images: how many, and bits of each value.
        ignores: masks may hold :data:`~preceptor.specs.IGNORED`.
        has_border: masks have borders that were filled up, which are ignored.
        levels: how the values of the files became levels, where that was not as usual.
        images: (N, H, W, channels) on disk, uint8, or uint16 where ``depth`` is 16.
        masks: (N, H, W) uint8 on disk, or None.
        reading: the :data:`READING` by which it was made.
        is_sealed: what is read is compared with what was written; False for a set from before there were seals.
    """

    def __init__(self, folder: Path) -> None:
        about, self.is_sealed = _read_about(folder)
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
        self._table_seal: str | None = about[_TABLE_SEAL] if self.is_sealed else None
        shape: tuple[int, int, int] = (about["rows"], *self.size)
        is_masked = self.task == "segmentation"
        of_images, of_masks = _read_sums(folder / SUMS, shape[0], is_masked) if self.is_sealed else (None, None)
        self.reading: int = about.get("reading", 1)
        self.channels: int = about.get("channels", 3)
        self.depth: int = about.get("depth", 8)
        rules = {key: about[key] for key in _PLACING if key in about}
        self.placing = placing_of(self.size, rules, channels=self.channels, depth=self.depth)
        self.ignores: bool = about.get("ignores", False)
        self.has_border: bool = "border" in about
        self.levels: dict[str, Any] = about.get("levels", {})
        dtype = np.uint8 if self.depth == 8 else np.uint16
        self.images = PackedRows(folder / images_name(self.depth), (*shape, self.channels), of_images, dtype)
        self.masks = PackedRows(folder / "masks.u8", shape, of_masks) if is_masked else None
        self.frame, self.keys = _load_table(self._read_table())
        if len(self.frame) != len(self.images):
            raise DamagedFileError(folder / TABLE, f"has {len(self.frame)} rows, not {len(self.images)}", ANEW)

    def _read_table(self) -> bytes:
        path = self.folder / TABLE
        if self._table_seal is None:
            return read_zip(path, ANEW)[0]
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self._table_seal:
            raise DamagedFileError(path, CHANGED, ANEW)
        return content

    def __len__(self) -> int:
        return len(self.frame)

    def __reduce__(self) -> tuple[Callable[[Path], "PackedSet"], tuple[Path]]:
        return open_packed, (self.folder,)

    @property
    def sticks_out(self) -> bool:
        """Whether a tile with a mask is larger than its image, and so has a border that was filled up."""
        if self.tile is None or self.masks is None:
            return False
        return bool((self.frame[["height", "width"]] < self.tile[0]).to_numpy().any())

    def content_hashes(self) -> NDArray[np.uint8]:
        """(N, 16) hash of each image's pixels before resizing, of a tile those of its parent; read from disk anew.

        Equal exactly where two images are, in this packed set and in any other.
        """
        with _said_plainly(self.folder), np.load(io.BytesIO(self._read_table())) as stored:
            return _hashes(stored["pixels"])

    def read(
        self, rows: NDArray[np.int64], images: Pixels | None = None, masks: Pixels | None = None
    ) -> tuple[Pixels, Pixels | None]:
        """Copies of ``rows``: (n, H, W, channels) images and (n, H, W) masks or None, into the arrays given, if any.

        Raises:
            DamagedRowError: a row is not what was written.
        """
        return self.images.read(rows, images), None if self.masks is None else self.masks.read(rows, masks)


def placing_of(size: tuple[int, int], rules: Mapping[str, Any], *, channels: int, depth: int) -> dict[str, Any]:
    """What decides, beside an image's pixels, what is packed of it.

    Args:
        rules: of bringing it to ``size``, or of cutting it into tiles.
    """
    return {"size": list(size), **rules, "channels": channels, "depth": depth}


def images_name(depth: int) -> str:
    """The file that holds the pixels."""
    return f"images.u{depth}"


def open_packed(folder: Path) -> PackedSet:
    """Open a packed set; nothing is decoded and no pixel is read.

    Raises:
        DamagedFileError: there is none, or it is not what was written.
        UserError: it may not be read.
    """
    with _said_plainly(folder):
        return PackedSet(folder)


@contextmanager
def _said_plainly(folder: Path) -> Iterator[None]:
    """Whatever reading a packed set that is not whole raises, as an error that names the file."""
    try:
        yield
    except UserError:
        raise
    except PermissionError as error:
        raise UserError(f"{error.filename}: no permission to read it. Change that, or set data.cache.") from error
    except FileNotFoundError as error:
        raise DamagedFileError(Path(error.filename), "is missing from a packed set", ANEW) from error
    except OSError as error:
        raise DamagedFileError(Path(error.filename or folder), f"cannot be read: {error.strerror}", ANEW) from error
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:  # only where there is no seal
        raise DamagedFileError(folder, f"is no packed set ({type(error).__name__}: {error})", ANEW) from error


def save_about(folder: Path, about: dict[str, Any]) -> None:
    """Write ``meta.json``, sealed, beside the table that it vouches for; this makes a folder a packed set."""
    write_sealed(folder / ABOUT, {**about, _TABLE_SEAL: hashlib.sha256((folder / TABLE).read_bytes()).hexdigest()})


def save_sums(folder: Path, images: Checksums, masks: Checksums | None) -> None:
    """Write the checksum of every row."""
    buffer = io.BytesIO()
    np.savez(buffer, **{"images": images} | ({} if masks is None else {"masks": masks}))  # type: ignore[arg-type]
    content = sealed_zip(buffer.getbuffer())
    write_with(folder / SUMS, lambda temporary: temporary.write_bytes(content))


def add_sums(packed: PackedSet) -> PackedSet:
    """Seal a set from before there were seals, as what it holds now; reads it whole.

    Until ``meta.json`` is replaced, last of all, it is what it was.
    """
    save_sums(packed.folder, packed.images.sums(), None if packed.masks is None else packed.masks.sums())
    save_about(packed.folder, read_sealed(packed.folder / ABOUT, ANEW)[0])
    return open_packed(packed.folder)


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
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy takes names for options


def _load_table(content: bytes) -> tuple[pd.DataFrame, NDArray[np.uint64]]:
    with np.load(io.BytesIO(content)) as stored:
        arrays = {name: stored[name] for name in stored.files}
    columns: dict[str, pd.Series[Any]] = {}
    for name in ("id", "label", KNOWN, "group", "split", "pixels", "parent", "y", "x", "height", "width"):
        if name not in arrays:
            continue
        if name in _NUMBERS:
            columns[name] = pd.Series(arrays[name])
        elif name == "pixels":
            columns[name] = pd.Series(_numbered(_hashes(arrays[name])))
        elif name in _REPEATED:
            texts = np.array([*_split(arrays[f"{name}.texts"]), None], dtype=object)
            columns[name] = pd.Series(texts[arrays[name]], dtype=object)  # code -1 takes the None at the end
        else:
            columns[name] = pd.Series(_split(arrays[name]), dtype=object)
    return pd.DataFrame(columns), arrays["keys"]


def _hashes(joined: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 16) hashes from their texts, which are hexadecimal."""
    texts = np.append(joined, np.uint8(0)).reshape(-1, 2 * HASH_BYTES + 1)[:, :-1]
    return np.frombuffer(bytes.fromhex(texts.tobytes().decode()), dtype=np.uint8).reshape(-1, HASH_BYTES)


def _numbered(hashes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The number of each hash among all different ones, in their order: equal for equal pixels.

    A text for each would be the greater part of the memory that a packed set takes.
    """
    high, low = hashes.view(">u8").astype(np.uint64).T
    order = np.lexsort((low, high))
    differs = (high[order][1:] != high[order][:-1]) | (low[order][1:] != low[order][:-1])
    numbers = np.zeros(len(hashes), dtype=np.int64)
    numbers[order[1:]] = np.cumsum(differs)
    return numbers


def _join(texts: list[str]) -> NDArray[np.uint8]:
    return np.frombuffer("\0".join(texts).encode(), dtype=np.uint8)


def _split(joined: NDArray[np.uint8]) -> list[str]:
    return joined.tobytes().decode().split("\0") if len(joined) else []


def _read_about(folder: Path) -> tuple[dict[str, Any], bool]:
    """What ``meta.json`` says, and whether it is sealed."""
    about, is_sealed = read_sealed(folder / ABOUT, ANEW)
    if about["format"] != FORMAT:
        raise DamagedFileError(folder / ABOUT, f"speaks of format {about['format']}, not {FORMAT}", ANEW)
    if not is_sealed and _TABLE_SEAL in about:
        raise DamagedFileError(folder / ABOUT, "has lost its seal", ANEW)
    return about, is_sealed


def _read_sums(path: Path, count: int, is_masked: bool) -> tuple[Checksums, Checksums | None]:
    with np.load(io.BytesIO(read_zip(path, ANEW)[0])) as stored:
        images, masks = stored["images"], stored["masks"] if is_masked else None
    if len(images) != count or (masks is not None and len(masks) != count):
        raise DamagedFileError(path, f"has not the sums of {count} rows", ANEW)
    return images, masks
