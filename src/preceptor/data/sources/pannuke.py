"""PanNuke: nuclei of five kinds in H&E patches of 19 tissues, as three folds of arrays.

Gamper et al. 2020, arXiv:2003.10778 (CC BY-NC-SA 4.0).
"""

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from preceptor.data.samples import Pixels, SampleTable, sample_frame
from preceptor.data.sources._layout import contents, folder_at, refuse, some_of
from preceptor.data.tree import files_below
from preceptor.errors import UserError
from preceptor.opening import require_file
from preceptor.quoting import quoted, shown

KINDS = ("neoplastic", "inflammatory", "connective", "dead", "epithelial")
"""Nuclei, in the order of the masks' first channels; the last channel is the background."""
PARTS = ("train", "validation", "test")
LAYOUT = "fold1/images/fold1/images.npy with types.npy, fold1/masks/fold1/masks.npy, and the same of fold2 and fold3"
_ARRAY = re.compile(r"(?:.*/)?fold ?_?(?P<fold>[123])/(?P<kind>images|masks|types)\.npy", re.IGNORECASE)


def pannuke(
    path: Path,
    *,
    task: Literal["segmentation", "classification"] = "segmentation",
    nuclei: Literal["any", "kinds"] = "any",
    folds: tuple[int, int, int] = (1, 2, 3),
) -> SampleTable:
    """``images.npy``, ``masks.npy`` and ``types.npy`` in folders that are called fold1 to fold3, however deep they lie.

    Args:
        path: the folder of the folds.
        task: ``segmentation`` of nuclei, ``classification`` of tissues by ``types.npy``.
        nuclei: ``any`` for nucleus and background, ``kinds`` for the five kinds of nuclei.
        folds: which are the training, validation and test part; a fold that is not there is no part.
    """
    root = folder_at(path, "pannuke")
    arrays = fold_arrays(root)
    present = [(fold, part) for fold, part in zip(folds, PARTS, strict=True) if "images" in arrays.get(fold, {})]
    wanted = "masks" if task == "segmentation" else "types"
    lacking = [f"{wanted}.npy of fold {fold}" for fold, _ in present if wanted not in arrays[fold]]
    if not present or lacking:
        raise refuse("pannuke", root, f"{contents(root)}{'; no ' if lacking else ''}{', '.join(lacking)}", LAYOUT)
    counts = [_count(arrays[fold], wanted) for fold, _ in present]
    types = [str(name) for fold, _ in present if task == "classification" for name in _opened(arrays[fold]["types"])]
    tissues = tuple(sorted(set(types)))
    places = [
        (arrays[fold]["images"], arrays[fold].get("masks"), n) for (fold, _), n in zip(present, counts, strict=True)
    ]
    reader = ArrayReader(tuple(places), nuclei == "kinds", task == "segmentation")
    rows = [(fold, part, row) for (fold, part), count in zip(present, counts, strict=True) for row in range(count)]
    masks = [f"fold{fold} masks.npy[{row}]" for fold, _, row in rows]
    return SampleTable(
        source="pannuke",
        task=task,
        classes=tissues or (("background", *KINDS) if nuclei == "kinds" else ("background", "nucleus")),
        frame=sample_frame(
            [f"fold{fold}_{row:04d}" for fold, _, row in rows],
            [f"fold{fold} images.npy[{row}]" for fold, _, row in rows],
            labels=[tissues.index(name) for name in types] if types else None,
            masks=masks if task == "segmentation" else None,
            splits=[part for _, part, _ in rows] if len(present) > 1 else None,
        ),
        read=reader,
        files=reader.files,
        identity=f"{nuclei} nuclei",
        notes=("No patients were published: patches of one patient can be on both sides of a split.",),
        read_besides=tuple(arrays[fold]["types"] for fold, _ in present if types),
    )


@dataclass(frozen=True)
class ArrayReader:
    """Reads row n of several arrays after one another.

    Args:
        arrays: images, masks, and how many there are of each.
        kinds: whether kinds of nuclei are told apart.
        masked: whether masks are wanted.
    """

    arrays: tuple[tuple[str, str | None, int], ...]
    kinds: bool
    masked: bool

    def __call__(self, row: int) -> tuple[Pixels, Pixels | None]:
        images, masks, inside = self._at(row)
        values = np.asarray(_opened(images)[inside])
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
            raise UserError(f"pannuke: image {inside} of {quoted(images)} has values that are not in 0 to 255")
        image = np.ascontiguousarray(np.rint(values), dtype=np.uint8)
        if not self.masked or masks is None:
            return image, None
        instances = np.asarray(_opened(masks)[inside])[..., : len(KINDS)] > 0
        nucleus: Pixels = np.asarray(instances.any(axis=2), dtype=np.uint8)
        if self.kinds:
            nucleus *= (instances.argmax(axis=2) + 1).astype(np.uint8)
        return image, nucleus

    def files(self, row: int) -> tuple[str, ...]:
        """The arrays of a row."""
        images, masks, _ = self._at(row)
        return (images, masks) if self.masked and masks is not None else (images,)

    def _at(self, row: int) -> tuple[str, str | None, int]:
        for images, masks, count in self.arrays:
            if row < count:
                return images, masks, row
            row -= count
        raise IndexError(row)


def fold_arrays(root: Path) -> dict[int, dict[str, str]]:
    """Fold -> images, masks and types -> file.

    Raises:
        UserError: a fold has two of a kind.
    """
    found: dict[int, dict[str, str]] = {}
    for file in files_below(root):
        match = None if file.left_behind else _ARRAY.fullmatch(file.place)
        if match is None:
            continue
        fold, kind = found.setdefault(int(match["fold"]), {}), match["kind"].lower()
        if kind in fold:
            raise UserError(f"pannuke: {some_of([fold[kind], file.place])} are both {kind} of one fold: remove one")
        fold[kind] = os.path.join(root, file.place)
    return found


def _count(arrays: dict[str, str], wanted: str) -> int:
    """How many images a fold has.

    Raises:
        UserError: arrays of other shapes than were published.
    """
    shapes = {kind: _opened(arrays[kind]).shape for kind in ("images", wanted)}
    images, other = shapes["images"], shapes[wanted]
    fits = other == (images[0],) if wanted == "types" else other == (*images[:3], len(KINDS) + 1)
    if len(images) != 4 or images[3] != 3 or not fits:
        raise refuse(
            "pannuke",
            Path(arrays["images"]),
            f"images {images}, {wanted} {other}",
            "(N, H, W, 3), and one of each for it",
        )
    return int(images[0])


def _opened(path: str) -> NDArray[Any]:
    """The array in a file, read as it is asked for.

    Raises:
        UserError: no regular file, or no array.
    """
    require_file(path, "array")
    return _mapped(path, os.stat(path).st_mtime_ns)


@lru_cache(maxsize=16)
def _mapped(path: str, _changed: int) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"array {quoted(path)} is damaged or no .npy file: {shown(str(error))}") from None
    return array
