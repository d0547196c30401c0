"""PNG, JPEG, BMP, WebP, and the TIFFs that Pillow reads without loss: through Pillow.

Which formats are opened is a closed list, whatever a file is called: others can start programs (PostScript).
Pillow keeps 8 bits of PNGs with 16 bits and colours; the other 8 come from reading them a second time.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from preceptor.data.pixels.reading import MOST_PIXELS, ReadRequest
from preceptor.data.pixels.stored import StoredImage, Values, on_disk, with_channels
from preceptor.data.pixels.strangers import require_modest_picture
from preceptor.errors import UserError

FORMATS = ("PNG", "JPEG", "JPEG2000", "TIFF", "BMP", "WEBP", "GIF", "PPM")
NAMES = "PNG, JPEG, JPEG 2000, TIFF, BMP, WebP, GIF or PPM"
_ORIENTATION = 274
_RGB, _GREY_AND_OPACITY, _RGBA = 2, 4, 6  # kinds of colour in a PNG
_CONVERTED = {"CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA"}
_BAND = 256  # rows copied at a time, of what is larger than Pillow takes for honest


def read(opened: BinaryIO, request: ReadRequest) -> StoredImage:
    """The image in ``opened``.

    Raises:
        UserError: several pages.
        Exception: of many kinds, from Pillow's readers.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:  # by somebody's script: nothing that preceptor imports does
        raise UserError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES was switched on, with which cut files are read as if they were whole; "
            "take that line out of your own loss or script"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on metadata and on large images
        with _open(opened, request) as file:
            request.require_size(file.height, file.width, len(file.getbands()))
            if request.is_from_stranger:
                require_modest_picture(opened, file, request)
            pages = getattr(file, "n_frames", 1)
            if pages > 1 and file.format != "MPO":  # of several pictures of a camera, the first is the whole one
                raise request.several(pages)
            file.load()
            stored = _png16(opened, file) if _is_png16(opened, file) else _stored(opened, file, request)
            is_turned = not request.is_upright or file.format == "TIFF"  # Pillow turns those itself
            return stored if is_turned else stored.turned(_orientation(file))


def read_page(opened: BinaryIO, number: int, request: ReadRequest) -> StoredImage:
    """Page ``number`` of a TIFF, turned by Pillow as its tag says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(opened, formats=("TIFF",)) as file:
            file.seek(number)
            file.load()
            return _stored(opened, file, request)


@contextmanager
def _open(opened: BinaryIO, request: ReadRequest) -> Iterator[Image.Image]:
    if not request.any_size:
        with Image.open(opened, formats=FORMATS) as file:
            yield file
        return
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    head = opened.read(12)
    opened.seek(0)
    readers: dict[bytes, Any] = {
        b"\x89PNG": PngImagePlugin.PngImageFile,
        b"\xff\xd8": JpegImagePlugin.JpegImageFile,
        b"BM": BmpImagePlugin.BmpImageFile,
        b"RIFF": WebPImagePlugin.WebPImageFile,
    }
    reader = next((found for start, found in readers.items() if head.startswith(start)), None)
    if reader is None:
        with Image.open(opened, formats=FORMATS) as file:
            yield file
    else:  # without Pillow's guard, which looks at the size alone
        with reader(opened) as file:
            yield file


def _stored(opened: BinaryIO, image: Image.Image, request: ReadRequest) -> StoredImage:
    small = _narrow_bits(opened, image)
    key = image.info.get("transparency") if image.mode in ("1", "L", "I;16", "RGB") else None
    palette = None
    if image.mode in ("P", "PA"):
        if request.resolve_palette:
            image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
        else:
            palette = _palette(image)
    elif image.mode in _CONVERTED:
        image = image.convert(_CONVERTED[image.mode])
    values = with_channels(_array(image))
    if small:
        values = np.asarray(values // np.uint8(255 // small))
    if image.format == "PPM" and values.dtype == np.int32:  # its own white, whatever that is, is made 65535
        values = values.astype(np.uint16)
    white = 1 if image.mode == "1" else small or _white(values)
    if key is not None and request.resolve_palette:
        values = _with_key(values, key, white or 255)
    has_alpha = image.mode in ("LA", "RGBA", "PA") or (key is not None and request.resolve_palette)
    return StoredImage(
        values=values,
        white=white,
        colours=values.shape[2] - has_alpha,
        alpha=values.shape[2] - 1 if has_alpha else None,
        palette=palette,
    )


def _white(values: Values) -> int | None:
    return {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}.get(values.dtype.newbyteorder("="))


def _array(image: Image.Image) -> Values:
    """The values; in a file, band by band, of what is larger than is read at once."""
    width, height = image.size
    if width * height <= MOST_PIXELS:
        return _at_once(image)
    first = _at_once(image.crop((0, 0, width, 1)))
    out = on_disk((height, *first.shape[1:]), first.dtype)
    for top in range(0, height, _BAND):
        bottom = min(height, top + _BAND)
        out[top:bottom] = _at_once(image.crop((0, top, width, bottom)))
    kept: Values = out
    return kept


def _at_once(image: Image.Image) -> Values:
    values: Values = np.array(image)
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def _narrow_bits(opened: BinaryIO, image: Image.Image) -> int | None:
    """The value that is white, of grey images with fewer than 8 bits, which Pillow spreads over 8; else None."""
    if image.mode == "1":
        return None
    bits = 8
    if image.format == "PNG":
        bits = _png_head(opened)[0] if image.mode == "L" else 8
    elif image.format == "TIFF" and image.mode == "L":
        bits = int(image.tag_v2.get(258, (8,))[0])  # type: ignore[attr-defined]  # of TIFFs alone
    return 2**bits - 1 if bits < 8 else None


def _png_head(opened: BinaryIO) -> tuple[int, int]:
    """Bits and kind of colour of a PNG."""
    before = opened.tell()
    opened.seek(24)
    head = opened.read(2)
    opened.seek(before)
    return head[0], head[1]


def _is_png16(opened: BinaryIO, image: Image.Image) -> bool:
    return image.format == "PNG" and _png_head(opened) in ((16, _RGB), (16, _GREY_AND_OPACITY), (16, _RGBA))


def _png16(opened: BinaryIO, image: Image.Image) -> StoredImage:
    """All 16 bits of each channel; Pillow gives the high bytes, and the low ones where it is told that they are high.

    Of grey with opacity, four bytes are read as if they were four channels.
    """
    kind = _png_head(opened)[1]
    key = image.info.get("transparency")
    high = np.array(image)
    opened.seek(0)
    with Image.open(opened, formats=("PNG",)) as again:
        raw = {_RGB: "RGB;16L", _RGBA: "RGBA;16L", _GREY_AND_OPACITY: "RGBA"}[kind]
        if kind == _GREY_AND_OPACITY:
            again._mode = "RGBA"  # as newer versions of Pillow open it anyway
        again.tile = [part._replace(args=raw) for part in again.tile]
        again.load()
        low = np.array(again)
    if kind == _GREY_AND_OPACITY:
        values: Values = np.ascontiguousarray(low).view(">u2").astype(np.uint16)
    else:
        values = high.astype(np.uint16) << np.uint16(8) | low
    if kind == _RGB and key is not None:
        values = _with_key(values, key, 65535)
    count = values.shape[2]
    has_alpha = count in (2, 4)
    return StoredImage(values=values, white=65535, colours=count - has_alpha, alpha=count - 1 if has_alpha else None)


def _with_key(values: Values, key: Any, white: int) -> Values:
    """One more channel, of opacity: none where the colour is the one that the file calls transparent."""
    opaque = (values != np.asarray(key).reshape(1, 1, -1)).any(axis=2, keepdims=True)
    return np.concatenate([values, np.where(opaque, white, 0).astype(values.dtype)], axis=2)


def _palette(image: Image.Image) -> NDArray[np.uint8]:
    colours = np.zeros((256, 3), dtype=np.uint8)
    found = np.array(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
    colours[: len(found)] = found
    return colours


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # what cannot be read in the metadata of a sound picture turns nothing, as in every viewer
        return 1
    return found if isinstance(found, int) else 1
