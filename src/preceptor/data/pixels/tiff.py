"""TIFF: what its tags say decides who decodes it, and what its values mean.

Pillow decodes grey, palette and colour of up to 8 bits; everything else tifffile, with the codecs of the extra
``codecs`` for compressions beyond deflate and packbits. Single channels of 16 bits that need such a codec go to
Pillow, too, where the extra is missing: both give the same values.
"""

import logging
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np

from preceptor.data.pixels import pillow
from preceptor.data.pixels.reading import MOST_PIXELS, DamagedImageError, NotDecodableError, ReadRequest
from preceptor.data.pixels.stored import StoredImage, Values, on_disk, with_channels
from preceptor.data.pixels.strangers import require_modest_page
from preceptor.data.pixels.tiff_whole import require_few_directories, require_stored, require_whole
from preceptor.extras import install_command

ORIENTATION = 274
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 4, 5, 6, 8
_UNSPECIFIED, _MULTIPLIED, _STRAIGHT = 0, 1, 2  # what an extra sample is
_REDUCED = 1  # bit of NewSubfileType: a smaller version of another page
_MASK_PAGE = 4
_JPEG = (6, 7, 34892, 33007)
_KNOWN_TO_PILLOW = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000)  # none, CCITT, LZW, JPEG, deflate, LZMA, zstd
_KEPT_BY_PILLOW = (_WHITE_IS_ZERO, _BLACK_IS_ZERO)


def read(file: BinaryIO, request: ReadRequest) -> StoredImage:
    """The first page of full size.

    Raises:
        UserError: several pages of full size.
        DamagedError: some of the pixels are missing.
        NotDecodableError: a sound file of a kind that is not read.
        Exception: of many kinds, from struct, zlib and the codecs.
    """
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong is told by whoever catches it
    require_whole(file)
    if request.is_from_stranger:
        require_few_directories(file)
    with tifffile.TiffFile(file) as opened:
        number, channels, about = _chosen(opened, request)
        page = opened.pages[number]
        pixels = page.imagewidth * page.imagelength
        samples, item = channels * page.samplesperpixel, -(-page.bitspersample // 8)
        request.require_size(page.imagelength, page.imagewidth, samples, item=item)
        request.require_size(page.tilelength, page.tilewidth, samples, item=item)  # of 0 where it has strips
        is_for_pillow = channels == 1 and _is_for_pillow(page) and pixels <= MOST_PIXELS
        if number or not is_for_pillow:
            require_stored(page, opened.filehandle.size)
        if request.is_from_stranger:
            for place in range(channels) if channels > 1 else [number]:
                require_modest_page(file, opened.pages[place], request)
        stored: StoredImage | None
        if channels > 1:
            for place in range(1, channels):
                require_stored(opened.pages[place], opened.filehandle.size)
            stored = _joined([_by_tifffile(opened.pages[place], request) for place in range(channels)])
        elif is_for_pillow:
            return _said(_by_pillow(file, page, number, request), about)
        else:
            stored = _by_tifffile_or_pillow(file, page, number, request)
            if stored is None:
                return _said(_inverted_grey(_by_pillow(file, page, number, request), page), about)
        return _said(stored.turned(_orientation(page)) if request.is_upright else stored, about)


def _by_pillow(file: BinaryIO, page: Any, number: int, request: ReadRequest) -> StoredImage:
    """The page, which Pillow turns as its tag says: turned back where that is not wanted."""
    file.seek(0)
    stored = pillow.read_page(file, number, request)
    orientation = _orientation(page)
    return stored if request.is_upright else stored.turned({6: 8, 8: 6}.get(orientation, orientation))


def _said(stored: StoredImage, about: str) -> StoredImage:
    return replace(stored, about=about) if about else stored


def _chosen(opened: Any, request: ReadRequest) -> tuple[int, int, str]:
    """The page to read, how many pages are its channels, and what is to be said of the others."""
    pages = list(opened.pages)
    for page in pages[:1]:
        if not page.imagewidth or not page.imagelength or not page.shape:
            raise DamagedImageError("it says nothing of its width and height")
    if opened.is_imagej and len(pages) == 1:
        planes = int((opened.imagej_metadata or {}).get("images", 1))
        if planes > 1:
            raise request.several(planes, "planes of an ImageJ stack")
    if pages[0].imagedepth > 1:
        raise request.several(pages[0].imagedepth, "planes of a volume")
    whole = [number for number, page in enumerate(pages) if not page.subfiletype & (_REDUCED | _MASK_PAGE)]
    if not whole:
        whole = list(range(len(pages)))
    sizes = {number: pages[number].imagewidth * pages[number].imagelength for number in whole}
    first = max(whole, key=lambda number: (sizes[number], -number))
    equal = [number for number in whole if sizes[number] == sizes[first]]
    if len(equal) > 1:
        if request.channels == len(equal) == len(pages) and request.channels not in (1, 3):
            return 0, len(equal), ""
        raise request.several(len(pages))
    left = len(pages) - 1
    return first, 1, f"the largest of {len(pages)} pages; {left} smaller ones were left out" if left else ""


def _is_for_pillow(page: Any) -> bool:
    """Whether Pillow reads it as it is: up to 8 bits, and nothing but colours, or one opacity that is declared."""
    bits, samples, extra = _bits(page), page.samplesperpixel, tuple(page.extrasamples or ())
    if len(set(bits)) > 1 or page.sampleformat != 1 or bits[0] not in (1, 2, 4, 8):
        return False
    colours = samples - len(extra)
    meaning = page.photometric
    if bits[0] < 8:
        return samples == 1 and meaning in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE)
    if page.compression not in _KNOWN_TO_PILLOW or (extra and page.planarconfig == 2):
        return False
    if extra and (len(extra) > 1 or extra[0] != _STRAIGHT):
        return False  # of colours multiplied by their opacity Pillow divides, and rounds
    wanted = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3, _LAB: 3}
    if extra and meaning not in (_BLACK_IS_ZERO, _RGB):
        return False
    return bool(wanted.get(meaning) == colours)


def _bits(page: Any) -> tuple[int, ...]:
    found = page.tags.get(258)
    bits = found.value if found is not None else 1
    return tuple(bits) if isinstance(bits, tuple) else (int(bits),)


def _by_tifffile_or_pillow(file: BinaryIO, page: Any, number: int, request: ReadRequest) -> StoredImage | None:
    """By tifffile; None where it lacks a codec that Pillow has, and Pillow keeps all bits."""
    try:
        return _by_tifffile(page, request)
    except (ValueError, ImportError, NotImplementedError) as error:
        if "imagecodecs" not in str(error):
            raise
        is_plain = page.samplesperpixel == 1 and page.photometric in _KEPT_BY_PILLOW and page.dtype is not None
        if is_plain and page.dtype.name in ("uint16", "float32") and page.parent.byteorder == "<":
            return None
        raise NotDecodableError(
            f"is a TIFF with {page.compression.name} compression, {_kind(page)}, which needs a codec: install the "
            f"extra with `{install_command('codecs')}`, or save it without compression"
        ) from None


def _kind(page: Any) -> str:
    bits = _bits(page)[0]
    return f"{page.samplesperpixel} x {bits} bits" if page.samplesperpixel > 1 else f"{bits} bits"


def _by_tifffile(page: Any, request: ReadRequest) -> StoredImage:
    if page.dtype is None:
        raise NotDecodableError(
            f"is a TIFF with values of {_kind(page)} (sample format {page.sampleformat}), which no reader knows: save "
            "it with 8 or 16 bits"
        )
    if len(set(_bits(page))) > 1:
        raise NotDecodableError(f"is a TIFF whose channels have {_bits(page)} bits: save it with as many for each")
    if page.samplesperpixel > 1 and _bits(page)[0] < 8:
        raise NotDecodableError(f"is a TIFF with channels of {_kind(page)}: save it with 8 bits for each")
    meaning, name = page.photometric, getattr(page.photometric, "name", str(page.photometric))
    if meaning == _YCBCR and page.compression not in _JPEG:
        raise NotDecodableError(f"is a TIFF with YCbCr colours of {_kind(page)}: save it as RGB")
    if meaning not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _YCBCR):
        raise NotDecodableError(f"is a TIFF with {name} colours of {_kind(page)}: save it as RGB or grey")
    values = _values(page, request)
    extra = tuple(page.extrasamples or ())
    alpha = next((place for place, kind in enumerate(extra) if kind in (_MULTIPLIED, _STRAIGHT)), None)
    colours = 3 if meaning in (_RGB, _YCBCR) else 1
    if colours == 1 and not extra:
        colours = values.shape[2]
    palette = _palette(page) if meaning == _PALETTE else None
    white = None if values.dtype.kind != "u" or values.dtype.itemsize > 2 else 2 ** _bits(page)[0] - 1
    if values.dtype == np.bool_:
        values, white = values.astype(np.uint8), 1
    if meaning == _WHITE_IS_ZERO and white is None:
        raise NotDecodableError(
            f"is a TIFF with {values.dtype.name} values in which 0 is white, and nothing says what is black: save it "
            "with black as 0"
        )
    if palette is not None and request.resolve_palette:
        values, white, colours, palette = palette[values[..., 0]], int(np.iinfo(palette.dtype).max), 3, None
    return StoredImage(
        values=values,
        white=white,
        is_inverted=meaning == _WHITE_IS_ZERO,
        colours=colours,
        alpha=None if alpha is None else colours + alpha,
        opacity="premultiplied" if alpha is not None and extra[alpha] == _MULTIPLIED else "straight",
        palette=palette,
    )


def _values(page: Any, request: ReadRequest) -> Values:
    """(H, W, C) in this machine's byte order."""
    is_large = page.imagewidth * page.imagelength > MOST_PIXELS
    out = on_disk(page.shaped, page.dtype) if is_large and request.any_size else None
    values: Values = page.asarray(out=out, squeeze=True, maxworkers=1)
    if page.planarconfig == 2 and page.samplesperpixel > 1:
        values = np.moveaxis(values, 0, -1) if values.shape[0] == page.samplesperpixel else values
    values = with_channels(values.reshape(page.imagelength, page.imagewidth, -1) if values.ndim < 2 else values)
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def _palette(page: Any) -> Any:
    """(256 or more, 3) colours; TIFF keeps 16 bits of each, of which older writers fill only 8."""
    table = np.asarray(page.colormap).T
    return (table >> 8 if table.max(initial=0) > 255 else table).astype(np.uint8)


def _joined(channels: list[StoredImage]) -> StoredImage:
    values = np.concatenate([one.values for one in channels], axis=2)
    first = channels[0]
    return StoredImage(values=values, white=first.white, is_inverted=first.is_inverted, colours=values.shape[2])


def _inverted_grey(stored: StoredImage, page: Any) -> StoredImage:
    """Grey of 16 bits from Pillow, which does not invert it."""
    return replace(stored, is_inverted=page.photometric == _WHITE_IS_ZERO)


def _orientation(page: Any) -> int:
    found = page.tags.get(ORIENTATION)
    return int(found.value) if found is not None and isinstance(found.value, int) else 1
