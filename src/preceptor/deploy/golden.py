"""Golden images: inputs with the answers that a bundle gave when it was made, by which it can be checked anywhere."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from PIL import Image

from preceptor.data.images import read_image
from preceptor.data.samples import Pixels
from preceptor.deploy.bundle import GOLDEN, INT8, Bundle
from preceptor.deploy.contract import Contract
from preceptor.deploy.images import file_for
from preceptor.deploy.parity import LARGEST_GAP, LEAST_EQUAL
from preceptor.deploy.predictor import Predictor
from preceptor.errors import UserError

TABLE = "predictions.csv"
INT8_GAP, INT8_EQUAL = 0.05, 0.98
"""Processors round int8 sums otherwise: what another one may say."""


def write_golden(folder: Path, predictor: Predictor, given: Sequence[Path], *, anonymous: bool) -> None:
    """Write inputs and answers into ``folder/golden``.

    Args:
        given: real images; only their pixels are written. Without any, images are made up.
        anonymous: call them by the hash of their pixels.
    """
    images = folder / GOLDEN / "images"
    images.mkdir(parents=True)
    chosen = _real(given, predictor.contract, anonymous=anonymous) if given else _made_up(predictor.contract)
    for name, pixels in chosen:
        if pixels.ndim == 3 and pixels.shape[2] not in (3, 4):
            tifffile.imwrite(images / f"{name}.tif", pixels, photometric="minisblack", planarconfig="contig")
        elif pixels.dtype == np.float32:
            tifffile.imwrite(images / f"{name}.tif", pixels)
        else:
            Image.fromarray(pixels).save(images / f"{name}.png", format="PNG")
    found = predictor.predict([images])
    found.to_csv(folder / GOLDEN / TABLE, index=False, float_format="%.7g", lineterminator="\n")
    if predictor.contract.has_masks:
        for name, mask in predictor.masks([images]).items():
            path = file_for(folder / GOLDEN / "masks", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask * np.uint8(predictor.contract.grey_step)).save(path, format="PNG")


def require_golden(bundle: Bundle, predictor: Predictor) -> int:
    """How many golden images there are, where all are answered as when the bundle was made.

    Raises:
        UserError: which is not, and how far off.
    """
    images = bundle.folder / GOLDEN / "images"
    wanted = pd.read_csv(bundle.folder / GOLDEN / TABLE, dtype={"file": str, "label": str, "error": str})
    found = predictor.predict([images])
    shares = [name for name in wanted.columns if name.startswith("p_")]
    if found["file"].tolist() != wanted["file"].tolist() or list(found.columns) != list(wanted.columns):
        raise UserError(f"{bundle.folder}: its golden table is of other images or classes; export it anew")
    gaps = (found[shares] - wanted[shares]).abs().max(axis=1).to_numpy()
    largest, least = (INT8_GAP, INT8_EQUAL) if bundle.serves == INT8 else (LARGEST_GAP, LEAST_EQUAL)
    for name, gap in zip(found["file"], gaps, strict=True):
        if not gap <= largest:
            raise UserError(
                f"{bundle.folder}: the answer on golden image {name} differs by {gap:.1e}, {largest:.0e} is allowed: "
                "here the model does not compute what it was exported for.\nTry another version of onnxruntime."
            )
    for name, mask in predictor.masks([images]).items() if bundle.contract.has_masks else ():
        with Image.open(file_for(bundle.folder / GOLDEN / "masks", name)) as file:
            equal = float((np.array(file) == mask * np.uint8(bundle.contract.grey_step)).mean())
        if equal < least:
            raise UserError(
                f"{bundle.folder}: of the mask of golden image {name} {100 * equal:.2f} % is equal, "
                f"{100 * least:.2f} % is wanted.\nTry another version of onnxruntime."
            )
    return len(found)


def _made_up(contract: Contract) -> Iterator[tuple[str, np.ndarray]]:
    """Three images without any patient: larger, smaller and, of 8-bit colours, one with transparency."""
    if contract.reading.channels not in (1, 3) or contract.reading.given.keys() - {"channels", "orientation"}:
        yield from _made_up_values(contract)
        return
    height, width = contract.image_size
    sizes = {"larger": (height * 5 // 4 + 1, width * 3 // 2), "smaller": (height * 2 // 3, width * 3 // 4)}
    for seed, (name, size) in enumerate({**sizes, "transparent": (height, width)}.items()):
        rng = np.random.default_rng(seed)
        coarse = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC))
        pixels = (smooth // 2 + rng.integers(0, 128, smooth.shape)).astype(np.uint8)
        if name == "transparent":
            pixels = np.dstack([pixels, np.linspace(0, 255, size[1]).astype(np.uint8)[None].repeat(size[0], axis=0)])
        yield name, pixels


def _made_up_values(contract: Contract) -> Iterator[tuple[str, np.ndarray]]:
    """Three images in the files' own values, as the run's options want them."""
    rules = contract.reading
    low, high = rules.range or (0.0, float(2 ** (rules.bits or rules.depth) - 1))
    height, width = contract.image_size
    count = rules.channels if rules.channels not in (1, 3) else 1
    is_whole = low >= 0 and high.is_integer() and high < 2**16
    for seed, size in enumerate([(height * 5 // 4 + 1, width * 3 // 2), (height * 2 // 3, width * 3 // 4), (40, 40)]):
        noise = low + (high - low) * np.random.default_rng(seed).random((*size, count))
        kind = np.float32 if not is_whole else np.uint8 if high < 2**8 and rules.bits is None else np.uint16
        values = (np.floor(noise) if is_whole else noise).astype(kind)
        yield f"values-{seed}", values[..., 0] if count == 1 else values


def _real(given: Sequence[Path], contract: Contract, *, anonymous: bool) -> Iterator[tuple[str, Pixels]]:
    """Pixels alone: what else stands in a file (places, names, dates) stays here."""
    seen: set[str] = set()
    if contract.reading.given.keys() - {"orientation"}:
        raise UserError(
            "--golden: pixels are written as 8-bit RGB, and this run reads its files otherwise; leave it out, images "
            "are made up then"
        )
    for path in given:
        pixels = read_image(path, contract.reading)
        name = hashlib.sha256(pixels.tobytes()).hexdigest()[:16] if anonymous else path.stem
        if name in seen:
            raise UserError(f"--golden: two images are called {name!r}; give files of different names")
        seen.add(name)
        yield name, pixels
