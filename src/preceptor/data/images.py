"""Image files to arrays: every kind of image becomes 8-bit RGB in one stated way.

* grey (1, 8 bit): the value goes to all three channels; two-valued images become 0 and 255
* palette: its colours
* transparency (RGBA, LA, palette with a transparent entry): laid over white
* 16 bit: the high byte, ``value // 256``, whatever range an image uses, so that images stay comparable
* floating point: values in 0…1 times 255, rounded; anything outside, and NaN, is an error
* signed and 32-bit whole numbers have no known range: an error
* other colour spaces (CMYK, YCbCr, Lab): converted by Pillow
* orientation tags are not applied: pixels stay in the order in which they are stored

Which formats are opened is a closed list, whatever a file is called: others can start programs (PostScript).
"""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preceptor.data.samples import Pixels
from preceptor.data.tiff import DamagedTiffError, require_whole
from preceptor.data.tiff import decode as decode_tiff
from preceptor.errors import UserError
from preceptor.opening import open_file
from preceptor.quoting import quoted, shown

IMAGE_SUFFIXES = frozenset(
    {
        ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".j2k", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm",
        ".pgm", ".pbm", ".pnm",
    }
)  # fmt: skip
FORMATS = ("PNG", "JPEG", "JPEG2000", "TIFF", "BMP", "WEBP", "GIF", "PPM")
_FORMATS = "PNG, JPEG, JPEG 2000, TIFF, BMP, WebP, GIF or PPM"
MOST_PIXELS = 178_956_970
"""Of one image: as many as Pillow takes for honest."""


def read_image(path: str | Path) -> Pixels:
    """Decode ``path`` to (H, W, 3) uint8.

    Raises:
        UserError: the file is missing, truncated, no image, has several pages, NaN or floats outside 0…1.
    """
    return to_rgb(_decode(path, "image", composite=True), str(path))


def read_mask(path: str | Path, classes: int = 2) -> Pixels:
    """Decode a mask to (H, W) uint8 of class values below ``classes``.

    With two classes, 0/255 and 0/1 both mean background and foreground; with more, pixel values are
    class values. An alpha channel is ignored, equal colour channels count as one.

    Raises:
        UserError: unreadable, coloured, or with values that are no class; names file and values.
    """
    values = _decode(path, "mask", composite=False)
    if values.ndim == 3:
        if values.shape[2] in (2, 4):
            values = values[..., :-1]
        if (values != values[..., :1]).any():
            raise UserError(f"mask {quoted(path)} has colours: one value per pixel was expected, 0 for background")
        values = values[..., 0]
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    present = np.unique(values)
    if classes == 2 and present.size <= 2 and bool(np.isin(present, (0, 255)).all()):
        foreground: Pixels = np.equal(values, 255).astype(np.uint8)
        return foreground
    if not bool(np.isin(present, np.arange(classes)).all()):
        shown = ", ".join(f"{value:g}" for value in present[:8]) + (", …" if present.size > 8 else "")
        wanted = "0 and 255, or 0 and 1" if classes == 2 else f"0 to {classes - 1}, one per class"
        raise UserError(f"mask {quoted(path)} has unexpected values {shown}: expected {wanted}")
    return values.astype(np.uint8)


def to_rgb(values: NDArray[np.generic], name: str) -> Pixels:
    """(H, W) or (H, W, 1…4) values to (H, W, 3) uint8 by the rules at the top of this file."""
    if values.ndim == 2:
        values = np.expand_dims(values, axis=2)
    shape: tuple[int, ...] = values.shape
    if len(shape) != 3 or shape[2] not in (1, 2, 3, 4) or 0 in shape:
        raise UserError(
            f"image {quoted(name)} has shape {shape}: one image of height x width with 1 to 4 channels was expected"
        )
    pixels = _to_uint8(values, name)
    if pixels.shape[2] in (2, 4):
        alpha = pixels[..., -1:].astype(np.float32) / 255
        colour = pixels[..., :-1].astype(np.float32)
        pixels = np.rint(colour * alpha + 255 * (1 - alpha)).astype(np.uint8)
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return np.ascontiguousarray(pixels)


def pixel_hash(pixels: Pixels) -> str:
    """Equal for two arrays exactly where shape and values are equal."""
    digest = hashlib.blake2b(str(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


@dataclass(frozen=True)
class FileReader:
    """Reads row n of a table whose images, and masks where given, are files.

    Args:
        images: one path per row.
        masks: paths of the masks of each row, whose union is the mask; None for classification.
        classes: how many values a mask may have.
    """

    images: tuple[str, ...]
    masks: tuple[tuple[str, ...], ...] | None = None
    classes: int = 2

    def __call__(self, row: int) -> tuple[Pixels, Pixels | None]:
        image = read_image(self.images[row])
        if self.masks is None:
            return image, None
        union = np.zeros((image.shape[0], image.shape[1]), dtype=np.uint8)
        for path in self.masks[row]:
            mask = read_mask(path, self.classes)
            if mask.shape != union.shape:
                raise UserError(
                    f"mask {quoted(path)} is {mask.shape[0]} x {mask.shape[1]} pixels (height x width), "
                    f"its image {quoted(self.images[row])} is {union.shape[0]} x {union.shape[1]}: they must be "
                    "equal;\nmake the mask anew from this image, or leave both out"
                )
            np.maximum(union, mask, out=union)
        return image, union

    def files(self, row: int) -> tuple[str, ...]:
        """The image and the masks of a row."""
        return (self.images[row], *(self.masks[row] if self.masks is not None else ()))


def _to_uint8(values: NDArray[np.generic], name: str) -> Pixels:
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    if np.issubdtype(values.dtype, np.floating):
        if not np.isfinite(values).all():
            count = int(np.count_nonzero(~np.isfinite(values)))
            raise UserError(
                f"image {quoted(name)} has {count} pixel values that are NaN or infinite: repair or remove it"
            )
        low, high = float(values.min()), float(values.max())
        if low < 0 or high > 1:
            raise UserError(
                f"image {quoted(name)} has floating-point values from {low:g} to {high:g}: "
                "floats must lie in 0 to 1; scale them, or save 8-bit images"
            )
        return np.rint(values.astype(np.float32) * 255).astype(np.uint8)
    if values.dtype == np.uint16:
        return (values.astype(np.uint16) >> 8).astype(np.uint8)
    raise UserError(
        f"image {quoted(name)} has {values.dtype} values: 8 or 16 bits without sign, or floats in 0 to 1, were expected"
    )


def _decode(path: str | Path, what: str, *, composite: bool) -> NDArray[np.generic]:
    """The stored values, palettes resolved only for images (``composite``)."""
    from PIL import Image, ImageFile, UnidentifiedImageError

    if ImageFile.LOAD_TRUNCATED_IMAGES:  # by somebody's script: nothing that preceptor imports does
        raise UserError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES was switched on, with which cut files are read as if they were whole; "
            "take that line out of your own loss or script"
        )
    try:
        with warnings.catch_warnings(), open_file(path, what) as opened:
            warnings.simplefilter("ignore")  # Pillow's remarks on metadata and on large images
            with Image.open(opened, formats=FORMATS) as file:
                if file.format == "TIFF":
                    require_whole(opened)
                image: Image.Image = file
                pages = getattr(image, "n_frames", 1)
                if pages > 1:
                    raise UserError(f"{what} {quoted(path)} has {pages} pages or frames: one was expected")
                if composite and image.mode in ("P", "PA"):
                    image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
                elif image.mode in ("CMYK", "YCbCr", "LAB", "HSV", "RGBX", "RGBa", "La"):
                    image = image.convert("RGBA" if image.mode == "RGBa" else "LA" if image.mode == "La" else "RGB")
                elif composite and "transparency" in image.info and image.mode in ("L", "RGB"):
                    image = image.convert("RGBA")
                values: NDArray[np.generic] = np.array(image)
        return values
    except UserError:
        raise
    except Image.DecompressionBombError:
        raise _too_large(what, path, f"more than {MOST_PIXELS:,} pixels") from None
    except MemoryError:
        raise _too_large(what, path, "more pixels than the memory holds") from None
    except DamagedTiffError as error:
        raise _damaged(what, path, str(error)) from None
    except Exception as error:  # Pillow's readers raise what they stumble over: struct, zlib, key, index, assertion
        cause = f"it is no {_FORMATS}" if isinstance(error, UnidentifiedImageError) else _first_line(error)
        if Path(path).suffix.lower() in (".tif", ".tiff"):
            return _decode_tiff(path, what, cause)
        raise _damaged(what, path, cause) from None


def _decode_tiff(path: str | Path, what: str, cause: str) -> NDArray[np.generic]:
    """TIFFs that Pillow does not know."""
    try:
        with open_file(path, what) as file:
            require_whole(file)
            return decode_tiff(file, most_values=4 * MOST_PIXELS)
    except DamagedTiffError as error:
        raise _damaged(what, path, str(error)) from None
    except OverflowError as error:
        raise _too_large(what, path, str(error)) from None
    except MemoryError:
        raise _too_large(what, path, "more pixels than the memory holds") from None
    except Exception as error:  # tifffile raises many kinds, from struct, zlib and its codecs
        raise _damaged(what, path, f"{cause}; {_first_line(error)}") from None


def _too_large(what: str, path: str | Path, has: str) -> UserError:
    return UserError(f"{what} {quoted(path)} is too large to decode at once: it has {has}; cut it into tiles first")


def _damaged(what: str, path: str | Path, reason: str) -> UserError:
    return UserError(
        f"{what} {quoted(path)} is damaged or no image: {reason}\n"
        "Replace or remove it; `preceptor data inspect` names every such file."
    )


def _first_line(error: Exception) -> str:
    return shown((str(error) or type(error).__name__).splitlines()[0])
