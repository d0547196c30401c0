"""MedMNIST+: small standardised images with official parts, one ``.npz`` per set and size.

Yang et al. 2023, Scientific Data 10, 41, doi:10.1038/s41597-022-01721-8; doi:10.5281/zenodo.10519652.
"""

import math
import re
import threading
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from preceptor.data.images import MOST_PIXELS, to_rgb
from preceptor.data.samples import Pixels, SampleTable, sample_frame
from preceptor.data.sources._layout import contents, entries, refuse, some_of
from preceptor.data.sources._npz import array_names, open_array, read_array
from preceptor.errors import UserError
from preceptor.quoting import quoted, shown

PARTS = {"train": "train", "val": "validation", "test": "test"}
MOST_IMAGES = 20_000_000
"""Of one part: 80 times the largest set."""
_ORGANS = (
    "bladder", "femur_left", "femur_right", "heart", "kidney_left", "kidney_right",
    "liver", "lung_left", "lung_right", "pancreas", "spleen",
)  # fmt: skip
CLASSES: dict[str, tuple[str, ...]] = {
    "pathmnist": (
        "adipose", "background", "debris", "lymphocytes", "mucus", "smooth_muscle", "normal_mucosa", "stroma",
        "adenocarcinoma_epithelium",
    ),
    "dermamnist": ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"),
    "octmnist": ("choroidal_neovascularization", "diabetic_macular_edema", "drusen", "normal"),
    "pneumoniamnist": ("normal", "pneumonia"),
    "retinamnist": ("grade_0", "grade_1", "grade_2", "grade_3", "grade_4"),
    "breastmnist": ("malignant", "normal_or_benign"),
    "bloodmnist": (
        "basophil", "eosinophil", "erythroblast", "immature_granulocyte", "lymphocyte", "monocyte", "neutrophil",
        "platelet",
    ),
    "tissuemnist": (
        "collecting_duct_connecting_tubule", "distal_convoluted_tubule", "glomerular_endothelium",
        "interstitial_endothelium", "leukocytes", "podocytes", "proximal_tubule", "thick_ascending_limb",
    ),
    "organamnist": _ORGANS,
    "organcmnist": _ORGANS,
    "organsmnist": _ORGANS,
}  # fmt: skip


def medmnist(path: Path, *, name: str | None = None) -> SampleTable:
    """One 2-D, single-label set: ``{train,val,test}_{images,labels}``, images (N, H, W) or (N, H, W, 3) uint8.

    Args:
        path: the ``.npz`` file, or a folder of them.
        name: which file of the folder, without its ending, for example ``pathmnist_64``.
    """
    file = _file(path, name)
    keys = array_names(file, "medmnist")
    wanted = {f"{part}_{kind}" for part in PARTS for kind in ("images", "labels")}
    if not wanted <= keys:
        raise refuse("medmnist", file, f"arrays {some_of(keys, most=8)}", f"arrays {some_of(wanted, most=8)}")
    reader = _NpzReader(str(file))
    ids, images, splits, labels = [], [], [], []
    for part, split in PARTS.items():
        count = reader.check(part)
        values = _labels(file, part, count)
        ids += [f"{part}_{number:06d}" for number in range(count)]
        images += [f"{file.name}:{part}_images[{number}]" for number in range(count)]
        splits += [split] * count
        labels.append(values.reshape(-1).astype(np.int64))
    every = np.concatenate(labels)
    flag = re.sub(r"_\d+$", "", file.stem)
    classes = CLASSES.get(flag) or tuple(str(label) for label in range(int(every.max()) + 1))
    if int(every.max()) >= len(classes):
        raise refuse("medmnist", file, f"labels up to {int(every.max())}", f"{len(classes)} classes, as {flag} has")
    return SampleTable(
        source="medmnist",
        task="classification",
        classes=classes,
        frame=sample_frame(ids, images, labels=every, splits=splits),
        read=reader,
        files=reader.files,
        notes=("No patients are published in the file; the official parts are the authors'.",),
    )


class _NpzReader:
    """Reads images from a compressed ``.npz`` in blocks, so that the 224-pixel sets need not fit into memory.

    The archive can only be unpacked forwards: rows asked for in about their order are read once, a
    jump back beyond the kept blocks starts again.
    """

    BLOCK = 256
    KEPT = 16

    def __init__(self, path: str) -> None:
        self.path = path
        self.ends: tuple[int, ...] = ()
        self._reset()

    def check(self, part: str) -> int:
        """The number of images of the next ``part``, whose header is looked at."""
        found = open_array(self.path, f"{part}_images", "medmnist")
        found.stream.close()
        shape, dtype = found.shape, found.dtype
        if dtype != np.uint8 or not (len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)):
            kind = "3-D volumes" if len(shape) == 4 else "images"
            raise refuse(
                "medmnist",
                Path(self.path),
                f"{part}_images: {kind} {shape}, {dtype}",
                "(N, H, W) or (N, H, W, 3), uint8",
            )
        if 0 in shape or shape[1] * shape[2] > MOST_PIXELS or shape[0] > MOST_IMAGES:
            raise UserError(
                f"medmnist: {quoted(self.path)}: {part}_images claims the shape {shape}: not to be believed"
            )
        self.ends = (*self.ends, (self.ends[-1] if self.ends else 0) + shape[0])
        return shape[0]

    def __call__(self, row: int) -> tuple[Pixels, None]:
        number = int(np.searchsorted(self.ends, row, side="right"))
        part = list(PARTS)[number]
        inside = row - (self.ends[number - 1] if number else 0)
        with self._lock:
            block = self._block(part, inside // self.BLOCK)
        return to_rgb(block[inside % self.BLOCK], f"{self.path}:{part}_images[{inside}]"), None

    def files(self, row: int) -> tuple[str, ...]:
        """The archive."""
        return (self.path,)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "ends": self.ends}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path, self.ends = state["path"], state["ends"]
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._stream: IO[bytes] | None = None
        self._at = ("", 0)  # part and block that the stream yields next
        self._shape: tuple[int, ...] = ()
        self._kept: OrderedDict[tuple[str, int], NDArray[np.uint8]] = OrderedDict()

    def _block(self, part: str, number: int) -> NDArray[np.uint8]:
        if (part, number) in self._kept:
            return self._kept[part, number]
        if self._stream is None or self._at[0] != part or self._at[1] > number:
            if self._stream is not None:
                self._stream.close()
            found = open_array(self.path, f"{part}_images", "medmnist")
            self._stream, self._shape = found.stream, found.shape
            self._at = (part, 0)
        while self._at[1] <= number:
            start = self._at[1] * self.BLOCK
            shape = (min(self.BLOCK, self._shape[0] - start), *self._shape[1:])
            try:
                data = self._stream.read(int(np.prod(shape)))
            except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
                raise UserError(f"medmnist: {quoted(self.path)} is damaged in {part}_images: {shown(error)}") from None
            if len(data) < int(np.prod(shape)):
                raise UserError(f"medmnist: {quoted(self.path)} is damaged: {part}_images ends early")
            self._kept[self._at] = np.frombuffer(data, dtype=np.uint8).reshape(shape)
            self._at = (part, self._at[1] + 1)
            if len(self._kept) > self.KEPT:
                self._kept.popitem(last=False)
        return self._kept[part, number]


def _file(path: Path, name: str | None) -> Path:
    if path.exists() and not path.is_dir():
        if path.suffix != ".npz":
            raise UserError(f"medmnist: {quoted(path)} is no .npz file")
        return path
    found = [file.removesuffix(".npz") for file in entries(path)[1] if file.endswith(".npz")]
    if name is None and len(found) == 1:
        name = found[0]
    if name not in found:
        hint = f"set the option name to one of {some_of(found)}" if found else "a file such as pathmnist.npz"
        raise refuse("medmnist", path, contents(path) if name is None else f"no {shown(name)}.npz", hint)
    return path / f"{name}.npz"


def _labels(file: Path, part: str, count: int) -> NDArray[Any]:
    """One whole number per image; nothing is read of what has another shape."""
    found = open_array(file, f"{part}_labels", "medmnist")
    found.stream.close()
    if len(found.shape) == 2 and found.shape[1] > 1:
        raise UserError(
            f"medmnist: {file.name} gives {found.shape[1]} labels per image (multi-label): one was expected"
        )
    saw = f"{part}_labels {found.shape} {found.dtype}, {count} images"
    if math.prod(found.shape) != count or not np.issubdtype(found.dtype, np.integer):
        raise refuse("medmnist", file, saw, "a whole number each")
    values = read_array(file, f"{part}_labels", "medmnist")
    if (values < 0).any():
        raise refuse("medmnist", file, f"{saw}, from {values.min()}", "a whole number each, 0 or more")
    return values
