"""From image files to what the network of this bundle takes, as training read them; by numpy and Pillow alone."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "JPEG2000", "TIFF", "BMP", "WEBP", "GIF", "PPM")
ENDINGS = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".j2k", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm",
    ".pgm", ".pbm", ".pnm", ".dcm", ".dicom", ".nii", ".gz",
)  # fmt: skip
"""Files that are images, also those that are refused with a reason."""


def read(path: Path, how: Any) -> Any:
    """(H, W, channels) as training read it; ValueError with the reason for what Pillow would read otherwise."""
    if path.suffix.lower() in (".dcm", ".dicom", ".nii", ".gz") or how["channels"] not in (1, 3):
        raise ValueError("Pillow does not read it as training did: `preceptor predict` answers on it")
    with Image.open(path, formats=FORMATS) as image:
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
            raise ValueError("it has several pages or frames, one was expected")
        bits = 8
        if image.format == "PNG":
            with path.open("rb") as file:
                bits, kind = file.read(26)[24:]
            if bits == 16 and (kind or "transparency" in image.info):
                raise ValueError("it is a PNG with 16 bits and colours or transparency: Pillow keeps 8; save it as 8")
        elif image.format == "TIFF":
            bits = of_tiff(image.tag_v2, image.size, path.stat().st_size, how)  # type: ignore[attr-defined]
        is_other = how.keys() & {"range", "bits"} or "transparency" in image.info
        if bits < 8 and image.mode not in ("1", "P") and is_other:
            raise ValueError(f"it has {bits} bits, which Pillow spreads over 8; save it with 8")
        image.load()
        if how["orientation"] == "upright" and image.format != "TIFF":  # Pillow turns those by itself
            ImageOps.exif_transpose(image, in_place=True)
        modes = dict.fromkeys(("P", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"), "RGB") | {"RGBa": "RGBA", "La": "LA"}
        modes |= dict.fromkeys(("P", "L", "RGB", "1") if "transparency" in image.info else (), "RGBA") | {"PA": "RGBA"}
        values: Any = np.atleast_3d(np.array(image.convert(modes[image.mode]) if image.mode in modes else image))
    if values.shape[2] in (1, 3):
        pixels = levels(values, how)
    else:
        top, real = 2 ** how["depth"] - 1, np.float32 if how["depth"] == 8 else np.float64
        alpha, colour = values[..., -1:].astype(real) / 255, levels(values[..., :-1], how).astype(real)
        pixels = np.rint(colour * alpha + top * (1 - alpha))
    if how["channels"] == 1 and pixels.shape[2] == 3 and not (pixels == pixels[..., :1]).all():
        pixels = np.rint(pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32))[..., None]
    pixels = np.broadcast_to(pixels[..., : how["channels"]], (*pixels.shape[:2], how["channels"]))
    return np.ascontiguousarray(pixels, dtype=np.uint8 if how["depth"] == 8 else np.uint16)


def microns(path: Path) -> float | None:
    """Size of a pixel, where a TIFF says one that a microscope can have."""
    with Image.open(path, formats=FORMATS) as image:
        tags = dict(getattr(image, "tag_v2", {}))
    text, dots = str(tags.get(270, "")), float(tags.get(282, 0))
    units = ("unit=micron", "unit=um", "unit=\\u00b5m", "unit=\xb5m")
    is_of_imagej = text.startswith("ImageJ=") and any(words in text for words in units)
    size = (1 if is_of_imagej else {2: 25400, 3: 10000}.get(tags.get(296, 2), 0)) / dots if dots > 0 else 0
    return size if 0.05 <= size <= 10 else None


def of_tiff(tags: Any, size: Any, there: int, how: Any) -> int:
    """Bits of a value of a TIFF; ValueError for kinds that Pillow reads otherwise, and for what ends early."""
    bits, kinds, extra, meaning = tags.get(258, (1,)), tags.get(339, (1,)), tags.get(338, ()), tags.get(262)
    plain = set(kinds) == {1} and (set(bits) == {8} or bits == (1,))
    deep = len(bits) == 1 and meaning == 1 and (bits[0], kinds[0]) in ((16, 1), (32, 3))
    odd = extra and (extra != (2,) or tags.get(284) == 2 or meaning not in (1, 2))
    if not (plain or deep) or odd or (how["orientation"] == "stored" and tags.get(274, 1) != 1):
        raise ValueError(f"it is a TIFF of a kind that Pillow reads otherwise: {bits} bits, meaning {meaning}, {extra}")
    is_tiled = 324 in tags  # one that ends early would be filled up with anything
    across, down = (tags[322], tags[323]) if is_tiled else (size[0], min(tags.get(278, size[1]), size[1]))
    parts = -(-size[0] // across) * -(-size[1] // down) * (tags.get(277, 1) if tags.get(284) == 2 else 1)
    starts, lengths = (tags.get(tag, ()) for tag in ((324, 325) if is_tiled else (273, 279)))
    ends = [start + length if length else 2**63 for start, length in zip(starts, lengths, strict=False)]
    if len(ends) < parts or max(ends) > there:
        raise ValueError("the file ends early or lacks a part of the image")
    return int(bits[0])


def levels(values: Any, how: Any) -> Any:
    """Brightness from 0 to 2 ** depth - 1 of stored values."""
    top, name, used = 2 ** how["depth"] - 1, values.dtype.name, 2 ** how.get("bits", 0) - 1
    white = {"bool": 1, "uint8": 255, "uint16": 65535}.get(name)
    if "range" in how and np.isfinite(values).all():
        low, high = how["range"]
        return np.rint(np.clip((values.astype(np.float64) - low) / (high - low), 0, 1) * top)
    if name == "float32" and 0 <= values.min() <= values.max() <= 1:
        return np.rint(values.astype(np.float32 if top == 255 else np.float64) * top)
    if white is None or used > white or (used and values.max() > used):
        raise ValueError(
            f"it has {name} values from {values.min()} to {values.max()}, which this network does not take"
        )
    white = used or white
    shift = white.bit_length() - how["depth"]
    return values.astype(np.uint32) >> shift if shift > 0 else np.rint(values.astype(np.float64) * (top / white))


def scaled(pixels: Any, size: Any, how: Image.Resampling = Image.Resampling.BILINEAR) -> Any:
    """Channel by channel, in the order of Pillow's own arithmetic."""
    if pixels.ndim == 3 and (pixels.dtype != np.uint8 or pixels.shape[2] != 3):
        return np.stack([scaled(pixels[..., at], size, how) for at in range(pixels.shape[2])], axis=2)
    exact = np.ascontiguousarray(pixels, dtype=np.float32 if pixels.dtype == np.uint16 else pixels.dtype)
    found = np.asarray(Image.fromarray(exact).resize((size[1], size[0]), how))
    return np.rint(np.clip(found, 0, 65535)).astype(np.uint16) if pixels.dtype == np.uint16 else found


def placed(pixels: Any, size: Any, corner: Any, ground: Any) -> Any:
    whole = np.full((*size, *pixels.shape[2:]), ground, dtype=pixels.dtype)
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
            ground = np.array(how.get("fill", 0)) * (257 if image.dtype == np.uint16 else 1)
            image = placed(scaled(image, inner), larger, corner, ground)[top:, left:][: size[0], : size[1]]
        return [(0, 0, image)]
    side, step = how["tile"]["size"], how["tile"]["size"] - how["tile"]["overlap"]
    border = np.median(np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]]), axis=0)
    image = placed(image, (max(height, side), max(width, side)), (0, 0), border)
    rows, columns = (sorted({*range(0, max(n - side, 0) + 1, step), max(n - side, 0)}) for n in (height, width))
    return [(y, x, image[y : y + side, x : x + side]) for y in rows for x in columns]
