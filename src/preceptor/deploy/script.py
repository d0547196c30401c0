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


def read(path: Path) -> Any:
    """(H, W, 3) uint8, as stored (no EXIF rotation); ValueError for what Pillow would not read as training did."""
    with Image.open(path, formats=("PNG", "JPEG", "TIFF", "BMP", "WEBP")) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise ValueError("it has several pages or frames, one was expected")
        if image.format == "TIFF":  # one that ends early would be filled up with anything
            tags: Any = image.tag_v2  # type: ignore[attr-defined]
            w, h, at = image.width, image.height, (324, 325) if 324 in tags else (273, 279)
            across, down = (tags[322], tags[323]) if 324 in tags else (w, min(tags.get(278, h), h))
            parts = -(-w // across) * -(-h // down) * (tags.get(277, 1) if tags.get(284) == 2 else 1)
            starts, lengths = (tags.get(tag, ()) for tag in at)
            ends = [start + length if length else 2**63 for start, length in zip(starts, lengths, strict=False)]
            if len(ends) < parts or max(ends) > os.path.getsize(path):
                raise ValueError("the file ends early or lacks a part of the image")
        modes = dict.fromkeys(("P", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"), "RGB") | {"RGBa": "RGBA", "La": "LA"}
        modes |= dict.fromkeys(("P", "L", "RGB") if "transparency" in image.info else (), "RGBA") | {"PA": "RGBA"}
        values = np.atleast_3d(np.array(image.convert(modes[image.mode]) if image.mode in modes else image))
    kind = values.dtype.name
    if kind not in ("bool", "uint8", "uint16") and not (kind == "float32" and 0 <= values.min() <= values.max() <= 1):
        raise ValueError(f"it has {kind} pixels: 8 or 16 bits, or floats from 0 to 1, were expected")
    values = np.rint(values * {"bool": 255, "float32": 255}.get(kind, 1)) // {"uint16": 256}.get(kind, 1)
    values = values.astype(np.uint8)
    if values.shape[2] in (2, 4):
        alpha = values[..., -1:].astype(np.float32) / 255
        values = np.rint(values[..., :-1].astype(np.float32) * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)))


def scaled(pixels: Any, size: Any, how: Image.Resampling = Image.Resampling.BILINEAR) -> Any:
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((size[1], size[0]), how))


def placed(pixels: Any, size: Any, corner: Any, ground: Any) -> Any:
    whole = np.full((*size, *pixels.shape[2:]), ground, dtype=np.uint8)
    whole[corner[0] : corner[0] + pixels.shape[0], corner[1] : corner[1] + pixels.shape[1]] = pixels
    return whole


def geometry(found: Any, wanted: Any, rule: str) -> Any:
    """To what an image is scaled, the size that holds this and ``wanted``, where each of them begins in that."""
    inner = wanted
    if rule == "crop" and wanted[0] == wanted[1]:
        other = int(wanted[0] * max(found) / min(found))
        inner = (wanted[0], other) if found[0] == min(found) else (other, wanted[1])
    elif rule != "squash":
        ratio = (min if rule == "crop" else max)(found[0] / wanted[0], found[1] / wanted[1])
        inner = max(1, round(found[0] / ratio)), max(1, round(found[1] / ratio))
    larger = [max(inner[axis], wanted[axis]) for axis in (0, 1)]
    begins = [((larger[a] - inner[a]) // 2, round((larger[a] - wanted[a]) / 2)) for a in (0, 1)]
    return inner, larger, [begin[0] for begin in begins], [begin[1] for begin in begins]


def pieces(image: Any, how: Any) -> Any:
    """(y, x, pixels) of all that the network is called with: the whole image resized, or its tiles."""
    (height, width), size = image.shape[:2], tuple(how["size"])
    if not how["tile"]:
        if (height, width) != size:
            inner, larger, corner, (top, left) = geometry((height, width), size, how["rule"])
            image = placed(scaled(image, inner), larger, corner, how.get("fill", 0))[top:, left:][: size[0], : size[1]]
        return [(0, 0, image)]
    side, step = how["tile"]["size"], how["tile"]["size"] - how["tile"]["overlap"]
    border = np.median(np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]]), axis=0)
    image = placed(image, (max(height, side), max(width, side)), (0, 0), border)
    rows, columns = (sorted({*range(0, max(n - side, 0) + 1, step), max(n - side, 0)}) for n in (height, width))
    return [(y, x, image[y : y + side, x : x + side]) for y in rows for x in columns]


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


def answer(session: Any, facts: Any, image: Any) -> Any:
    """Rows (end of the name, label, share of each class) and the mask, if any, of an image."""
    names, places = [one["name"] for one in facts["classes"]], pieces(image, facts["images"])
    planes = np.stack([pixels for _, _, pixels in places]).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    if planes.shape[2:] != tuple(facts["input"]["size"]):
        planes = np.stack([[scaled(plane, facts["input"]["size"]) for plane in one] for one in planes])
    starts = range(0, len(planes), 16)
    logits = np.concatenate([session.run(None, {"images": planes[first : first + 16]})[0] for first in starts])
    if facts["task"] == "segmentation":
        mask = mask_of(logits, places, image.shape[:2], facts["images"])
        return [("", "", np.bincount(mask.ravel(), minlength=len(names)) / mask.size)], mask
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float64) / facts["temperature"])
    ends = [f"@{y},{x}" if facts["images"]["tile"] else "" for y, x, _ in places]
    shares = powers / powers.sum(axis=1, keepdims=True)
    return [(end, names[p.argmax()], p) for end, p in zip(ends, shares, strict=True)], None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given, here = parser.parse_args(), Path(__file__).resolve().parent
    facts = json.loads((here / "bundle.json").read_text(encoding="utf-8"))
    file, names = facts["serves"]["file"], [one["name"] for one in facts["classes"]]
    if hashlib.sha256(model := (here / file).read_bytes()).hexdigest() != facts["files"][file]:
        sys.exit(f"error: {file} was changed or damaged after it was exported")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    rows: list[Any] = [["file", "label", *(f"p_{name}" for name in names), "abstained", "outside", "error"]]
    suffixes = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
    paths = [p.relative_to(given.folder) for p in given.folder.rglob("*") if p.suffix.lower() in suffixes]
    if not paths:
        sys.exit(f"error: no image in {given.folder} or below")
    for name in sorted(p.as_posix() for p in paths if not any(part.startswith(".") for part in p.parts)):
        try:
            found, mask = answer(session, facts, read(given.folder / name))
        except Exception as error:
            rows.append([name, "", *[""] * len(names), 0, 0, " ".join(str(error).split()) or type(error).__name__])
            continue
        rows += [[name + end, label, *(f"{p:.7g}" for p in shares), 0, 0, ""] for end, label, shares in found]
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
