"""What the tests of bad inputs are made of: small recipes, folders, tables and files, whole until they are broken."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

NET = {"architecture": "test_resnet", "weights": "none"}
UNET = {
    "architecture": "unet",
    "encoder": "mobilenetv3_small_050",
    "weights": "none",
    "options": {"decoder_channels": [16, 8, 8, 8, 8]},
}
PHANTOMS = {
    "classification": {"images": 48, "classes": 3, "patients": 8},
    "segmentation": {"images": 12, "patients": 6},
}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One command with the circumstances that it meets.

    Args:
        arguments: what follows ``preceptor``.
        environment: variables to set, or with None to unset.
        seconds: after which it counts as hung.
        gib, files, file_bytes: limits on memory, open files and size of a file; 0 for none.
        as_user: permissions hold, whoever runs the tests.
        closed: standard output is closed.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str | None] = field(default_factory=dict)
    seconds: float = 60
    gib: float = 0
    files: int = 0
    file_bytes: int = 0
    as_user: bool = False
    closed: bool = False


@dataclass(frozen=True)
class Case:
    """A bad input: what makes it, and how the command must end.

    Args:
        code: the exit status wanted.
        says: regular expression that what is printed must match.
        make: makes the input in an empty folder and returns the command.
        wants_run: ``make`` is given a finished run too, to be copied.
        is_slow: takes more than a moment, for example because it trains.
    """

    code: int
    says: str
    make: Callable[..., Call]
    wants_run: bool = False
    is_slow: bool = False


class Table(dict[str, Case]):
    """Cases by name, each said at the function that makes it."""

    def case(self, code: int, says: str, *, slow: bool = False) -> Callable[[Callable[..., Call]], Callable[..., Call]]:
        """Add the function below under its own name; it is given the folder and, if it wants one, a finished run."""

        def add(make: Callable[..., Call]) -> Callable[..., Call]:
            assert make.__name__ not in self, f"two cases called {make.__name__}"
            self[make.__name__] = Case(code, says, make, make.__code__.co_argcount == 2, slow)
            return make

        return add


def recipe(task: str = "classification", **changes: Any) -> dict[str, Any]:
    """A recipe that trains in a moment; ``changes`` are merged into its parts, ``technique`` replaces."""
    net = NET if task == "classification" else UNET
    raw: dict[str, Any] = {
        "task": task,
        "data": {"source": "phantom", "image_size": 32, "options": {"task": task, "size": 32, **PHANTOMS[task]}},
        "networks": {"teacher": net, "student": net, "count": 1},
        "technique": {"name": "baseline"},
        "training": {"epochs": 1, "batch_size": 4, "threads": 1, "lr": 1e-3},
    }
    for part, change in changes.items():
        is_merged = isinstance(change, dict) and part != "technique"
        raw[part] = {**raw.get(part, {}), **change} if is_merged else change
    return raw


def train(folder: Path, raw: dict[str, Any] | str | bytes, *more: str, **circumstances: Any) -> Call:
    """``preceptor train`` of a recipe written into ``folder``."""
    text = raw if isinstance(raw, str | bytes) else yaml.safe_dump(raw, allow_unicode=True)
    file = folder / "recipe.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    arguments = ("train", str(file), "--out", str(folder / "run"), "--device", "cpu", *more)
    return Call(arguments=arguments, **circumstances)


def command(*arguments: object, **circumstances: Any) -> Call:
    return Call(arguments=tuple(map(str, arguments)), **circumstances)


def picture(path: Path, size: tuple[int, int] = (16, 16), seed: int = 0) -> Path:
    """A random RGB image of ``size`` (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def class_folders(folder: Path, classes: tuple[str, ...] = ("ant", "bee", "cat"), each: int = 12) -> dict[str, Any]:
    """``data:`` of class folders in ``folder``/data."""
    for number, name in enumerate(classes):
        for image in range(each):
            picture(folder / "data" / name / f"p{image}.png", seed=1000 * number + image)
    return {"source": "folder", "path": str(folder / "data"), "options": {}}


def mask_folders(folder: Path, count: int = 12) -> dict[str, Any]:
    """``data:`` of image and mask folders in ``folder``/data."""
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[:16] = 255
    (folder / "data" / "masks").mkdir(parents=True)
    for image in range(count):
        picture(folder / "data" / "images" / f"i{image}.png", (32, 32), image)
        Image.fromarray(mask).save(folder / "data" / "masks" / f"i{image}.png")
    return {"source": "folder", "path": str(folder / "data"), "options": {}}


def table(
    folder: Path, change: Callable[[list[str]], str | bytes | list[str]] = list, **options: Any
) -> dict[str, Any]:
    """``data:`` of 24 images and a CSV; ``change`` makes of its lines (head first) what is written."""
    lines = ["image,label,patient"]
    for image in range(24):
        picture(folder / "data" / f"{image}.png", seed=image)
        lines.append(f"{image}.png,{'ab'[image % 2]},p{image // 2}")
    changed = change(lines)
    text = "\n".join(changed) + "\n" if isinstance(changed, list) else changed
    (folder / "data" / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    given = {"image": "image", "label": "label", "group": "patient", **options}
    return {"source": "table", "path": str(folder / "data"), "options": {k: v for k, v in given.items() if v}}


def medmnist(folder: Path, **arrays: Any) -> dict[str, Any]:
    """``data:`` of a MedMNIST file; ``arrays`` replace its own, None leaves one out."""
    content: dict[str, Any] = {}
    for number, part in enumerate(("train", "val", "test")):
        content[f"{part}_images"] = np.random.default_rng(number).integers(0, 256, (12, 28, 28, 3), dtype=np.uint8)
        content[f"{part}_labels"] = (np.arange(12) % 2).reshape(-1, 1)
    content |= arrays
    (folder / "data").mkdir()
    file = folder / "data" / "xmnist.npz"
    np.savez(file, **{name: value for name, value in content.items() if value is not None})
    return {"source": "medmnist", "path": str(file), "options": {}}


def claiming(folder: Path, key: str, shape: tuple[int, ...], dtype: str) -> dict[str, Any]:
    """A MedMNIST file whose array ``key`` says that it has ``shape``, and holds 64 bytes."""
    data = medmnist(folder)
    file = Path(data["path"])
    content = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(content, "w") as new:
        for name in old.namelist():
            if name != f"{key}.npy":
                new.writestr(name, old.read(name))
                continue
            head = io.BytesIO()
            np.lib.format.write_array_header_1_0(head, {"descr": dtype, "fortran_order": False, "shape": shape})
            new.writestr(name, head.getvalue() + bytes(64))
    file.write_bytes(content.getvalue())
    return data


def h5_file(folder: Path, part: str, kind: str) -> Path:
    return folder / "data" / f"camelyonpatch_level_2_split_{part}_{kind}.h5"


def pcam(folder: Path) -> dict[str, Any]:
    """``data:`` of six small HDF5 files named as PCam's."""
    import h5py

    (folder / "data").mkdir()
    for number, part in enumerate(("train", "valid", "test")):
        with h5py.File(h5_file(folder, part, "x"), "w") as file:
            file["x"] = np.random.default_rng(number).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
        with h5py.File(h5_file(folder, part, "y"), "w") as file:
            file["y"] = (np.arange(12) % 2).reshape(12, 1, 1, 1)
    return {"source": "pcam", "path": str(folder / "data"), "options": {}}


def png_of_zeros(path: Path, width: int, height: int) -> None:
    """A PNG that unpacks to ``width`` x ``height`` black pixels, written without holding them."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    rows = bytes(100 * (3 * width + 1))
    body = b"".join([*(packer.compress(rows) for _ in range(height // 100)), packer.flush()])
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b""))


class Evil:
    """An object whose pickle runs a command when it is opened."""

    def __init__(self, folder: Path) -> None:
        self.mark = folder / "PICKLE-RAN"

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.mark)!r}, 'w')",)
