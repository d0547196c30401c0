"""Phantom tissue: generated pictures that look like H&E sections and need no files.

Stains mix by the law of Beer and Lambert with the published vectors of haematoxylin and eosin; every
phantom patient has a stain of its own. A picture is a pure function of (seed, number, options).
"""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from preceptor.data.phantom_shapes import Canvas, Field
from preceptor.data.phantom_tissue import TISSUES, Stained
from preceptor.data.samples import Pixels, SampleTable
from preceptor.data.stains import stain_basis
from preceptor.errors import UserError
from preceptor.randomness import generator
from preceptor.specs import Task

NAMES: Final = tuple(TISSUES)
MASK_CLASSES: Final = ("background", "tumour", "lymphocytes", "adipose")
PATCH_SIDE: Final = 60.0  # micrometres across a picture to classify
FIELD_SIDE: Final = 120.0  # micrometres across a picture to segment
_AROUND: Final = ("stroma", "complex", "lymphocytes", "mucosa", "debris", "adipose")


def phantom(
    path: Path | None = None,
    *,
    task: Task = "classification",
    images: int = 1600,
    size: int = 64,
    patients: int = 40,
    classes: int = 8,
    mask_classes: int = 2,
    difficulty: float = 0.5,
    seed: int = 0,
) -> SampleTable:
    """Phantom tissue: ``images`` pictures of ``size`` × ``size`` pixels from ``patients`` phantom patients.

    Args:
        path: must be left out; phantom tissue is generated.
        task: ``classification`` into the first ``classes`` of the eight kinds of tissue, equally often in
            every patient, or ``segmentation`` of tumour in mixed tissue.
        images: how many.
        size: of a side, in pixels.
        patients: how many they are of.
        classes: how many kinds of tissue.
        mask_classes: of masks: 2 are background and tumour, 3 have lymphocytes, 4 fat too.
        difficulty: 0 (kinds apart, one stain, no noise) to 1 (kinds mixed, strong stain variation, blur, noise).
        seed: another seed, other pictures and patients.

    Raises:
        UserError: a value outside its range.
    """
    if path is not None:
        raise UserError(f"phantom: the data are generated, there is nothing to read at {path}. Leave out `path`.")
    if task not in ("classification", "segmentation"):
        raise UserError(f"phantom: task is {task!r}; choose classification or segmentation.")
    for name, value, least, most in (
        ("images", images, 1, 10_000_000), ("size", size, 16, 8192), ("patients", patients, 1, 10_000_000),
        ("classes", classes, 2, len(NAMES)), ("difficulty", difficulty, 0, 1),
        ("mask_classes", mask_classes, 2, len(MASK_CLASSES)),
    ):  # fmt: skip
        if not least <= value <= most:
            raise UserError(f"phantom: {name} is {value}, it must be between {least} and {most:,}.")

    segmentation = task == "segmentation"
    index = np.arange(images)
    per_patient = 1 if segmentation else classes  # neighbours in the table share a patient, one of each kind
    patient = index // per_patient % patients

    def read(row: int) -> tuple[Pixels, Pixels | None]:
        if segmentation:
            return phantom_field(seed, row, int(patient[row]), size=size, difficulty=difficulty, classes=mask_classes)
        kind = NAMES[row % classes]
        return phantom_patch(
            seed, row, int(patient[row]), kind, NAMES[:classes], size=size, difficulty=difficulty
        ), None

    frame = pd.DataFrame(
        {
            "id": [f"phantom-{row:06d}" for row in range(images)],
            "image": [f"phantom picture {row} of seed {seed}" for row in range(images)],
            "mask": [f"tumour of phantom picture {row}" if segmentation else None for row in range(images)],
            "label": np.full(images, -1, dtype=np.int64) if segmentation else (index % classes).astype(np.int64),
            "group": [f"phantom-patient-{number:04d}" for number in patient],
            "split": pd.Series([None] * images, dtype=object),
        }
    )
    return SampleTable(
        source="phantom",
        task=task,
        classes=MASK_CLASSES[:mask_classes] if segmentation else NAMES[:classes],
        frame=frame,
        read=read,
        grouping="phantom patient",
        identity=f"phantom 1: {task} size={size} patients={patients} classes={classes} "
        f"difficulty={float(difficulty)!r} seed={seed}" + (f" mask_classes={mask_classes}" if mask_classes > 2 else ""),
        notes=("Phantom tissue is generated: numbers measured on it say nothing about patients.",),
    )


def phantom_patch(
    seed: int, index: int, patient: int, kind: str, kinds: tuple[str, ...], *, size: int, difficulty: float
) -> Pixels:
    """One picture of ``kind``, (size, size, 3), up to two thirds of it turned into another of ``kinds``."""
    canvas = Canvas(generator("phantom patch", seed, index), size, PATCH_SIDE)
    rng = canvas.rng
    tissue = TISSUES[kind](canvas, float(rng.uniform(-1.4, 1.4)) * difficulty)
    share = 0.65 * difficulty * float(rng.random())
    if share > 0.05:
        other = kinds[int(rng.integers(len(kinds)))]
        tissue = _blend(tissue, TISSUES[other](canvas, 0.0), _region(canvas, 26.0, share))
    return _develop(canvas, tissue, _patient_stain(seed, patient, difficulty), difficulty)


def phantom_field(
    seed: int, index: int, patient: int, *, size: int, difficulty: float, classes: int = 2
) -> tuple[Pixels, Pixels]:
    """One picture of mixed tissue with its mask, (size, size, 3) and (size, size) of 0 to ``classes`` - 1.

    About one picture in ten holds no tumour, and of further classes one in three has none.
    """
    canvas = Canvas(generator("phantom field", seed, index), size, FIELD_SIDE)
    rng = canvas.rng
    kinds = [kind for kind in _AROUND if kind not in MASK_CLASSES[:classes]]
    first, second = rng.permutation(len(kinds))[:2]
    around = _blend(
        TISSUES[kinds[first]](canvas, float(rng.uniform(-difficulty, difficulty))),
        TISSUES[kinds[second]](canvas, float(rng.uniform(-difficulty, difficulty))),
        _region(canvas, 45.0, 0.4),
    )
    share = 0.0 if rng.random() < 0.1 else float(rng.uniform(0.15, 0.6))
    inside = _region(canvas, 40.0, share)
    lesion = TISSUES["tumour"](canvas, float(rng.uniform(-0.5, 1.0)) * difficulty)
    mask = (inside > 0.5).astype(np.uint8)
    picture = _blend(around, lesion, inside)
    for value in range(2, classes):
        further = _region(canvas, 30.0, 0.0 if rng.random() < 0.33 else float(rng.uniform(0.1, 0.3)))
        picture = _blend(picture, TISSUES[MASK_CLASSES[value]](canvas, 0.0), further)
        mask[further > 0.5] = value
    return _develop(canvas, picture, _patient_stain(seed, patient, difficulty), difficulty), mask


def _region(canvas: Canvas, grain: float, share: float) -> Field:
    """A smooth-edged region that covers ``share`` of the canvas, in [0, 1]."""
    if share <= 0:
        return np.zeros((canvas.pixels, canvas.pixels), dtype=np.float32)
    height = canvas.noise(grain) + np.float32(0.12) * canvas.noise(7)
    return np.asarray(np.clip((height - np.quantile(height, 1 - share)) * np.float32(6) + np.float32(0.5), 0, 1))


def _blend(outside: Stained, inside: Stained, region: Field) -> Stained:
    return (outside[0] + (inside[0] - outside[0]) * region, outside[1] + (inside[1] - outside[1]) * region)


def _patient_stain(seed: int, patient: int, difficulty: float) -> NDArray[np.float64]:
    """This patient's optical density per unit of haematoxylin and eosin, (2, 3)."""
    rng = generator("phantom patient", seed, patient)
    vectors = stain_basis()[:2] + rng.normal(0, 0.01 + 0.07 * difficulty, (2, 3))
    vectors = np.clip(vectors, 0.02, None)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors * np.exp(rng.normal(0, 0.04 + 0.22 * difficulty, (2, 1))))


def _develop(canvas: Canvas, tissue: Stained, stain: NDArray[np.float64], difficulty: float) -> Pixels:
    """Beer-Lambert mixing, then what a microscope adds: a tinted white, a little blur and noise."""
    rng = canvas.rng
    stain = stain * np.exp(rng.normal(0, 0.03 + 0.08 * difficulty, (2, 1)))
    amounts = np.stack([np.clip(part, 0, None) for part in tissue], axis=-1)  # (H, W, 2)
    light = np.exp(-amounts @ stain.astype(np.float32))  # (H, W, 3)
    blur = np.float32(0.08 + 0.12 * difficulty * rng.random())
    light[1:-1] += blur * (light[2:] + light[:-2] - 2 * light[1:-1])
    light[:, 1:-1] += blur * (light[:, 2:] + light[:, :-2] - 2 * light[:, 1:-1])
    white = (255 * rng.uniform(0.955, 0.985, 3)).astype(np.float32)
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    return np.asarray(np.clip(light * white + noise * np.float32(1 + 6 * difficulty), 0, 255).astype(np.uint8))
