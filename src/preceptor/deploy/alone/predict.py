"""``python predict.py FOLDER --out DIR``: this bundle's answers on images, by numpy, Pillow and onnxruntime alone."""

import argparse
import csv
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))
from pixels import ENDINGS, geometry, microns, pieces, placed, read, scaled  # type: ignore[import-not-found]


def mask_of(logits: Any, places: Any, size: Any, how: Any) -> Any:
    """(H, W) class values of an image of ``size`` from the logits of its pieces."""
    whole, side = logits[0], logits.shape[-1]
    if how["tile"]:
        total, count = np.zeros((2, logits.shape[1], max(size[0], side), max(size[1], side)), dtype=np.float32)
        for one, (y, x, _) in zip(logits, places, strict=True):
            total[:, y : y + side, x : x + side] += one
            count[:, y : y + side, x : x + side] += 1
        whole = (total / count)[:, : size[0], : size[1]]
    mask = (whole[0] > 0 if len(whole) == 1 else whole.argmax(axis=0)).astype(np.uint8)
    if how["tile"] or mask.shape == size:
        return mask
    inner, larger, (y, x), corner = geometry(size, mask.shape, how["rule"])
    return scaled(placed(mask, larger, corner, 0)[y:, x:][: inner[0], : inner[1]], size, Image.Resampling.NEAREST)


def answer(session: Any, facts: Any, image: Any, calibrate: bool, about: Any) -> Any:
    """Rows (end of the name, label, share of each class, abstained, outside) and the mask, if any, of an image."""
    names, places = [one["name"] for one in facts["classes"]], pieces(image, facts["images"])
    top, given = np.float32(np.iinfo(image.dtype).max), np.stack([pixels for _, _, pixels in places])
    planes = given.transpose(0, 3, 1, 2).astype(np.float32) / top
    if planes.shape[2:] != tuple(facts["input"]["size"]):
        planes = np.stack([[scaled(plane, facts["input"]["size"]) for plane in one] for one in planes])
    starts = range(0, len(planes), 16)
    wanted = ["logits", "distance"][: len(session.get_outputs())]
    parts = [session.run(wanted, {"images": planes[first : first + 16]}) for first in starts]
    logits, *far = (np.concatenate(part) for part in zip(*parts, strict=True))
    if facts["task"] == "segmentation":
        mask = mask_of(logits, places, image.shape[:2], facts["images"])
        about |= {"embedding distance": far[0].mean()} if far else {}
        shares = np.bincount(mask.ravel(), minlength=len(names)) / mask.size
        return [("", "", shares, 0, outside(given, image, facts, about))], mask
    ends = [f"@{y},{x}" if facts["images"]["tile"] else "" for y, x, _ in places]
    said, calibrated = softmax(logits), softmax(logits / facts["temperature"])
    shown, ground = calibrated if calibrate else said, facts["thresholds"] and facts["thresholds"]["decides"]
    found = []
    for at, (end, shares, chances) in enumerate(zip(ends, shown, calibrated, strict=True)):
        about |= {"embedding distance": far[0][at]} if far else {}
        label, sure = int(chances.argmax()), chances.max()
        if ground is not None:
            label, gap = int(chances[1] >= ground), chances[1] - ground
            sure = 0.5 + 0.5 * max(gap / max(1 - ground, 1e-12), -gap / max(ground, 1e-12))
        silent = facts["abstention"] is not None and sure < facts["abstention"]["least_certainty"]
        found.append((end, names[label], shares, int(silent), outside(given[at : at + 1], image, facts, about)))
    return found, None


def softmax(logits: Any) -> Any:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def outside(pixels: Any, image: Any, facts: Any, about: Any) -> int:
    """Whether an image, of which the network sees ``pixels``, is unlike those of training: brightness, stain, size…

    ``about``: what else was measured of it, by name.
    """
    if facts["outside"] is None:
        return 0
    unit = np.stack(pixels).reshape(-1, image.shape[2]).astype(np.float64) / np.iinfo(image.dtype).max
    seen = {"short side": min(image.shape[:2]), "long side": max(image.shape[:2])}
    seen |= {"brightness": unit.mean(), "contrast": unit.std()}
    if image.shape[2] == 3:
        amounts = -np.log(np.maximum(unit, 1 / 255)) @ np.array(facts["outside"]["unmixing"])
        seen |= dict(zip(("haematoxylin", "eosin"), amounts.mean(axis=0), strict=True))
    seen |= about
    ranges = facts["outside"]["ranges"].items()
    return int(any(name in seen and not low <= seen[name] <= high for name, (low, high) in ranges))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--calibrated", action="store_true", help="probabilities at the bundle's temperature")
    given, here = parser.parse_args(), Path(__file__).resolve().parent
    facts = json.loads((here / "bundle.json").read_text(encoding="utf-8"))
    file, names, reading = (
        facts["serves"]["file"],
        [one["name"] for one in facts["classes"]],
        facts["images"]["reading"],
    )
    if hashlib.sha256(model := (here / file).read_bytes()).hexdigest() != facts["files"][file]:
        sys.exit(f"error: {file} was changed or damaged after it was exported")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    knows_size = facts["outside"] is not None and "microns per pixel" in facts["outside"]["ranges"]
    rows: list[Any] = [["file", "label", *(f"p_{name}" for name in names), "abstained", "outside", "error"]]
    paths = [p.relative_to(given.folder) for p in given.folder.rglob("*") if p.suffix.lower() in ENDINGS]
    if not paths:
        sys.exit(f"error: no image in {given.folder} or below")
    for name in sorted(p.as_posix() for p in paths if not any(part.startswith(".") for part in p.parts)):
        try:
            image = read(given.folder / name, reading)
            size = microns(given.folder / name) if knows_size else None
            about = {"microns per pixel": size} if size else {}
            found, mask = answer(session, facts, image, given.calibrated, about)
        except Exception as error:
            rows.append([name, "", *[""] * len(names), 0, 0, " ".join(str(error).split()) or type(error).__name__])
            continue
        rows += [[name + end, label, *(f"{p:.7g}" for p in shares), *marks, ""] for end, label, shares, *marks in found]
        if mask is not None:
            os.makedirs((given.out / "masks" / name).parent, exist_ok=True)
            Image.fromarray(mask * np.uint8(255 // (len(names) - 1))).save(given.out / "masks" / f"{name}.png")
    os.makedirs(given.out, exist_ok=True)
    with open(given.out / "predictions.part", "w", encoding="utf-8", newline="") as table:
        csv.writer(table, lineterminator="\n").writerows(rows)
    os.replace(given.out / "predictions.part", given.out / "predictions.csv")
    print(f"{len(rows) - 1} rows: {given.out / 'predictions.csv'}")


if __name__ == "__main__":
    main()
