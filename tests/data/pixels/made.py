"""Image files of many kinds, each with the RGB that it holds, worked out from the values that were written."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

SIZE = (20, 28)
UNSPECIFIED, MULTIPLIED, STRAIGHT = 0, 1, 2


@dataclass(frozen=True)
class Made:
    """A kind of file.

    Args:
        write: what writes it to a path.
        wanted: the (H, W, 3) uint8 that it holds, or the reason for which it must be refused.
        off: by how much libraries may differ in rounding.
    """

    name: str
    write: Any
    wanted: Any
    off: int = 0


def noise(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> Any:
    """Values over the whole range of ``dtype``; floats from 0 to 1."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return rng.random(shape).astype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)


def as_bytes(values: Any) -> Any:
    """8 bits of each value, by the rule for its type."""
    if values.dtype.kind == "b":
        return values * np.uint8(255)
    if values.dtype.kind == "f":
        return np.rint(values.astype(np.float32) * 255).astype(np.uint8)
    return (values // 256).astype(np.uint8) if values.dtype.itemsize == 2 else values


def as_rgb(colours: Any, alpha: Any = None, *, is_multiplied: bool = False) -> Any:
    """(H, W, 3) of 8-bit colours, laid over white."""
    rgb = np.repeat(colours, 3, axis=2) if colours.shape[2] == 1 else colours
    if alpha is None:
        return rgb
    share = alpha.astype(np.float32) / 255
    seen = rgb.astype(np.float32) * (1 if is_multiplied else share) + 255 * (1 - share)
    return np.rint(np.minimum(seen, 255)).astype(np.uint8)


def tiffs() -> Iterator[Made]:
    """By tifffile: type × channels × meaning × planes × byte order × compression × tiles."""
    kinds = ["u1", "u2", "u4", "i1", "i2", "f2", "f4", "f8", "?"]
    channels = [
        ("minisblack", 1, ()), ("miniswhite", 1, ()), ("rgb", 3, ()),
        ("minisblack", 1, (UNSPECIFIED,)), ("minisblack", 1, (MULTIPLIED,)), ("minisblack", 1, (STRAIGHT,)),
        ("rgb", 3, (UNSPECIFIED,)), ("rgb", 3, (MULTIPLIED,)), ("rgb", 3, (STRAIGHT,)),
        ("rgb", 3, (STRAIGHT, UNSPECIFIED)),
        ("minisblack", 1, (UNSPECIFIED,) * 4),
    ]  # fmt: skip
    ways: list[dict[str, Any]] = [
        {}, {"compression": "zlib"}, {"compression": "lzw"}, {"compression": "packbits"}, {"compression": "zstd"},
        {"compression": "lzma"}, {"compression": "lzw", "predictor": True}, {"compression": "zlib", "predictor": True},
        {"compression": "jpeg2000"}, {"compression": "png"},
        {"compression": "webp", "compressionargs": {"lossless": True}},
        {"tile": (16, 16)}, {"tile": (16, 16), "compression": "lzw"}, {"rowsperstrip": 3},
    ]  # fmt: skip
    for kind, (meaning, colours, extra), planes, order, way in product(
        kinds, channels, ("contig", "separate"), "<>", ways
    ):
        if planes == "separate" and colours + len(extra) == 1:
            continue
        if way.get("compression") == "jpeg2000" and order == ">" and kind == "u2":
            continue  # tifffile writes the bytes of these in the wrong order
        how = [*way.values(), *(["rows"] * ("rowsperstrip" in way))]
        name = "-".join(map(str, (kind, meaning, *extra, planes, {"<": "ii", ">": "mm"}[order], *how)))
        yield _tiff(name, np.dtype(kind), meaning, colours, extra, planes, order, way)


def _tiff(
    name: str, dtype: Any, meaning: str, colours: int, extra: tuple[int, ...], planes: str, order: str, way: Any
) -> Made:
    count = colours + len(extra)
    values = noise((*SIZE, count), dtype)
    alpha = next((place for place, kind in enumerate(extra) if kind != UNSPECIFIED), None)
    if alpha is not None and extra[alpha] == MULTIPLIED and dtype.kind in "uf":  # no colour above its opacity
        most = values[..., colours + alpha : colours + alpha + 1]
        values[..., :colours] = np.minimum(values[..., :colours], most)
    stored = values[..., 0] if count == 1 else values if planes == "contig" else np.moveaxis(values, -1, 0)

    def write(path: Path) -> None:
        tifffile.imwrite(
            path, stored, photometric=meaning, planarconfig=planes if count > 1 else None,
            extrasamples=extra or None, byteorder=order, metadata=None, **way,
        )  # fmt: skip

    return Made(name, write, _wanted(values, meaning, colours, extra, alpha))


def _wanted(values: Any, meaning: str, colours: int, extra: tuple[int, ...], alpha: int | None) -> Any:
    kind = values.dtype
    if kind.kind == "b" and values.shape[2] > 1:
        return "is a TIFF with channels of"  # libraries differ in how they lie in the file
    if extra and alpha is None and colours == 1:
        return f"has {1 + len(extra)} channels, none of which is known to be opacity"
    if meaning == "miniswhite" and (kind.kind in "if" or kind.itemsize > 2):
        return "in which 0 is white, and nothing says what is black"
    if kind.kind == "i" or (kind.itemsize > 2 and kind.kind == "u"):
        return "nothing says which is black"
    levels = as_bytes(values)
    if meaning == "miniswhite":
        levels = 255 - levels
    opacity = None if alpha is None else levels[..., colours + alpha : colours + alpha + 1]
    multiplied = alpha is not None and extra[alpha] == MULTIPLIED
    return as_rgb(levels[..., :colours], opacity, is_multiplied=multiplied)


def by_pillow() -> Iterator[Made]:
    """TIFF and PNG by Pillow: modes × compressions × orientation; what is lossy is compared with Pillow's own."""
    modes = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "F")
    ways = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "group3", "group4", "jpeg", "webp", "zstd", "lzma")
    for mode, way, turn in product(modes, ways, (1, 6)):
        image, rgb = _picture(mode)
        if (way in ("group3", "group4")) != (mode == "1") and way in ("group3", "group4"):
            continue
        if way in ("jpeg", "webp"):
            continue
        rgb = rgb if turn == 1 else rgb.transpose(1, 0, 2)[:, ::-1]

        def write(path: Path, image: Any = image, way: str = way, turn: int = turn) -> None:
            image.save(path, "TIFF", compression=way, tiffinfo={274: turn})

        yield Made(f"pillow-{mode}-{way}-{turn}", write, rgb, off=mode == "YCbCr")


def _picture(mode: str) -> tuple[Any, Any]:
    """An image of a mode, and its RGB."""
    if mode == "1":
        values = noise(SIZE, "?")
        return Image.fromarray(values), as_rgb(as_bytes(values)[..., None])
    if mode == "P":
        numbers = noise(SIZE, "u1")
        image = Image.fromarray(numbers).convert("P")
        image.putdata(numbers.ravel().tolist())
        colours = noise((256, 3), "u1", 1)
        image.putpalette(colours.tobytes())
        return image, colours[numbers]
    if mode == "I;16":
        values = noise(SIZE, "u2")
        return Image.fromarray(values), as_rgb(as_bytes(values)[..., None])
    if mode == "F":
        values = noise(SIZE, "f4")
        return Image.fromarray(values), as_rgb(as_bytes(values)[..., None])
    count = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4, "YCbCr": 3}[mode]
    values = noise((*SIZE, count), "u1")
    image = Image.frombytes(mode, SIZE[::-1], values.tobytes())
    if mode in ("CMYK", "YCbCr"):
        return image, np.array(image.convert("RGB"))
    alpha = values[..., -1:] if mode in ("LA", "RGBA") else None
    return image, as_rgb(values[..., : 1 if count < 3 else 3], alpha)


def pngs() -> Iterator[Made]:
    """PNG: bits × colours × opacity, by imagecodecs and Pillow."""
    for kind, count, level in product(("u1", "u2"), (1, 2, 3, 4), (0, 9)):
        values = noise((*SIZE, count), kind, count)
        levels = as_bytes(values)
        rgb = as_rgb(levels[..., : 1 if count < 3 else 3], levels[..., -1:] if count in (2, 4) else None)
        content = imagecodecs.png_encode(values if count > 1 else values[..., 0], level=level)
        yield Made(f"png-{kind}-{count}-{level}", lambda path, content=content: path.write_bytes(content), rgb)
    for bits in (1, 2, 4):
        yield _few_colours(bits)
        yield _keyed_palette(bits)
    for mode, key in (("L", 7), ("RGB", (1, 2, 3))):
        yield _keyed(mode, key)


def _few_colours(bits: int) -> Made:
    numbers = noise(SIZE, "u1") % 2**bits
    image = Image.fromarray(numbers).convert("P")
    image.putdata(numbers.ravel().tolist())
    colours = noise((2**bits, 3), "u1", bits)
    image.putpalette(colours.tobytes())
    return Made(f"png-P-{bits}", lambda path: image.save(path, "PNG", bits=bits), colours[numbers])


def _keyed_palette(bits: int) -> Made:
    made = _few_colours(bits)
    numbers = noise(SIZE, "u1") % 2**bits

    def write(path: Path) -> None:
        made.write(path)
        with Image.open(path) as image:
            again = io.BytesIO()
            image.save(again, "PNG", bits=bits, transparency=0)
        path.write_bytes(again.getvalue())

    rgb = made.wanted.copy()
    rgb[numbers == 0] = 255
    return Made(f"png-P-{bits}-key", write, rgb)


def _keyed(mode: str, key: Any) -> Made:
    count = len(mode)
    values = noise((*SIZE, count), "u1")
    values[3:9, 4:11] = key
    image = Image.fromarray(values if count > 1 else values[..., 0])
    rgb = as_rgb(values).copy()
    rgb[(values == np.asarray(key)).all(axis=2)] = 255
    return Made(f"png-{mode}-key", lambda path: image.save(path, "PNG", transparency=key), rgb)


def every() -> list[Made]:
    """All of them."""
    return [*tiffs(), *by_pillow(), *pngs()]


def check(made: Made, folder: Path, read: Any, refusal: type[Exception]) -> str | None:
    """What is wrong with how ``read`` reads the file; None where nothing is, or where it cannot be made."""
    path = folder / (f"{made.name.replace(';', '')}.png" if made.name.startswith("png") else "a.tif")
    try:
        made.write(path)
    except Exception:
        return "cannot be made"
    try:
        found = read(path)
    except refusal as error:
        if isinstance(made.wanted, str):
            return None if made.wanted in str(error) else f"refused with {error}"
        return f"refused: {error}"
    if isinstance(made.wanted, str):
        return f"read, though: {made.wanted}"
    if found.shape != made.wanted.shape:
        return f"shape {found.shape}, not {made.wanted.shape}"
    off = np.abs(found.astype(int) - made.wanted).max()
    return None if off <= made.off else f"differs by up to {off}"
