"""``python predict.py FOLDER --out DIR``: this bundle's answers on images, by numpy, Pillow and onnxruntime alone."""

import argparse
import csv
import hashlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

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
    wanted = ["logits", "distance"][: len(session.get_outputs())]
    parts = [session.run(wanted, {"images": planes[at : at + 16]}) for at in range(0, len(planes), 16)]
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
    seen = {"short side": min(image.shape[:2]), "long side": max(image.shape[:2]), **about}
    seen |= {"brightness": unit.mean(), "contrast": unit.std()}
    if image.shape[2] == 3:
        amounts = -np.log(np.maximum(unit, 1 / 255)) @ np.array(facts["outside"]["unmixing"])
        seen |= dict(zip(("haematoxylin", "eosin"), amounts.mean(axis=0), strict=True))
    ranges = facts["outside"]["ranges"].items()
    return int(any(name in seen and not low <= seen[name] <= high for name, (low, high) in ranges))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--calibrated", action="store_true", help="probabilities at the bundle's temperature")
    given, here = parser.parse_args(), Path(__file__).resolve().parent
    try:
        facts = json.loads((here / "bundle.json").read_text(encoding="utf-8"))
    except ValueError:
        stop("bundle.json was cut short or changed after it was exported")
    if facts.get("schema") != 1:
        stop("bundle.json and predict.py are of different versions; take both from one bundle")
    file, names, reading = facts["serves"]["file"], [c["name"] for c in facts["classes"]], facts["images"]["reading"]
    if hashlib.sha256(model := (here / file).read_bytes()).hexdigest() != facts["files"][file]:
        stop(f"{file} was changed or damaged after it was exported")
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises kinds of its own
        stop(f"onnxruntime {onnxruntime.__version__} cannot open {file}, try a newer one: {str(error).splitlines()[0]}")
    knows_size = facts["outside"] is not None and "microns per pixel" in facts["outside"]["ranges"]
    rows: list[Any] = [["file", "label", *(f"p_{name}" for name in names), "abstained", "outside", "error"]]
    files = [p.relative_to(given.folder) for p in given.folder.rglob("*") if not p.is_dir()]
    images = sorted(p.as_posix() for p in files if p.suffix.lower() in ENDINGS and "/." not in f"/{p.as_posix()}")
    for name in images or stop(f"no image in {given.folder} or below"):
        try:
            image = read(given.folder / name, reading)
            about = {"microns per pixel": s} if knows_size and (s := microns(given.folder / name)) else {}
            found, mask = answer(session, facts, image, given.calibrated, about)
        except Exception as error:
            rows.append([name, "", *[""] * len(names), 0, 0, " ".join(str(error).split()) or type(error).__name__])
            continue
        rows += [[name + end, label, *(f"{p:.7g}" for p in shares), *marks, ""] for end, label, shares, *marks in found]
        if mask is not None:
            Image.fromarray(mask * np.uint8(255 // (len(names) - 1))).save(drawn := io.BytesIO(), format="PNG")
            put(given.out / "masks" / f"{name}.png", drawn.getvalue())
    csv.writer(table := io.StringIO(newline=""), lineterminator="\n").writerows(rows)
    put(given.out / "predictions.csv", table.getvalue().encode())
    print(f"{len(rows) - 1} rows: {given.out / 'predictions.csv'}")


def put(path: Path, content: bytes) -> None:
    """Write a file that is whole, or not there."""
    os.makedirs(path.parent, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def stop(words: object) -> NoReturn:
    print(f"error: {words}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        stop(error)
