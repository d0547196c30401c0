"""Image files to arrays of pixels, and masks to class values; ``docs/images.md`` says what becomes of each kind.

What a file holds is read by ``data/pixels``, one format a file; what its values mean is decided in
``data/pixels/levels.py`` alone.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray

from preceptor.data.masks.guess import LOOKED_AT, MaskLook, guessed, look_at_mask
from preceptor.data.masks.marks import marks_of
from preceptor.data.masks.meaning import NEAREST, Meaning, classes_of, is_jpeg, meaning_by
from preceptor.data.masks.rules import AS_USUAL, MaskRules
from preceptor.data.masks.runs import Runs
from preceptor.data.pixels import USUAL, PixelRules, StoredImage, to_pixels
from preceptor.data.pixels.endings import DICOM_MAGIC, DICOM_SUFFIXES, IMAGE_SUFFIXES, NIFTI_SUFFIXES, ending_of
from preceptor.data.pixels.facts import FileFacts
from preceptor.data.pixels.impostors import what_it_is
from preceptor.data.pixels.levels import Range, range_of
from preceptor.data.pixels.reading import (
    MOST_PIXELS,
    DamagedImageError,
    NotDecodableError,
    ReadRequest,
    first_line_shown,
)
from preceptor.data.samples import Pixels
from preceptor.errors import UserError
from preceptor.opening import open_file
from preceptor.quoting import quoted

__all__ = [
    "IMAGE_SUFFIXES", "MOST_PIXELS", "FileReader", "image_in", "read_image", "read_mask", "read_stored",
    "to_rgb",
]  # fmt: skip

_FINDING = threading.Lock()  # percentiles are found once, whoever asks first


def read_image(
    path: str | Path, rules: PixelRules = USUAL, *, place: int | None = None, any_size: bool = False
) -> Pixels:
    """Decode ``path`` to (H, W, channels) pixels: uint8 RGB unless ``rules`` say otherwise.

    Args:
        rules: those of a set whose percentiles are known name their ``range``.
        place: the slice or frame, where the file holds several.
        any_size: read also what is too large to be read at once: it is to be cut into tiles.

    Raises:
        UserError: the file is missing, truncated, no image, has several pages, or values without a known range.
    """
    stored = read_stored(_request(path, "image", rules, any_size=any_size, place=place))
    return to_pixels(stored, str(path), rules)


def image_in(opened: BinaryIO, name: str, rules: PixelRules = USUAL, *, most: int | None = None) -> Pixels:
    """As :func:`read_image`, of what is open already and may lie in memory alone.

    Args:
        name: for messages; its ending may say what kind of file it is.
        most: pixels that it may have, where that is fewer than usual.

    Raises:
        UserError: as :func:`read_image`.
    """
    request = replace(_request(name, "image", rules), most=most)
    return to_pixels(stored_in(opened, request), name, rules)


def read_mask(path: str | Path, classes: int = 2, rules: PixelRules = USUAL) -> Pixels:
    """Decode a mask to (H, W) uint8 of class values below ``classes``.

    With two classes, 0/255 and 0/1 both mean background and foreground; with more, pixel values are
    class values. An alpha channel is ignored, equal colour channels count as one.

    Raises:
        UserError: unreadable, coloured, or with values that are no class; names file and values.
    """
    return classes_of(read_stored(_request(path, "mask", rules)), str(path), classes, Meaning())


def to_rgb(values: NDArray[np.generic], name: str) -> Pixels:
    """(H, W) or (H, W, 1…4) values, the last of 2 and of 4 being opacity, to (H, W, 3) uint8."""
    shape: tuple[int, ...] = values.shape
    if values.ndim == 2:
        values = np.expand_dims(values, axis=2)
    if values.ndim != 3 or values.shape[2] not in (1, 2, 3, 4) or 0 in shape:
        raise UserError(
            f"image {quoted(name)} has shape {shape}: one image of height x width with 1 to 4 channels was expected"
        )
    count = values.shape[2]
    white = {np.dtype(np.bool_): 1, np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}.get(values.dtype)
    has_alpha = count in (2, 4)
    stored = StoredImage(
        values=values.astype(np.uint8) if values.dtype == np.bool_ else values,
        white=white,
        colours=count - has_alpha,
        alpha=count - 1 if has_alpha else None,
    )
    return to_pixels(stored, name)


@dataclass(frozen=True)
class FileReader:
    """Reads row n of a table whose images, and masks where given, are files.

    Args:
        images: one path per row.
        masks: paths of the masks of each row, whose union is the mask; None for classification.
        classes: how many values a mask may have.
        mask_rules: what their pixels mean.
        runs: masks as text, instead of files.
        second: paths of the masks of each row by a second observer, none where there are none.
        rules: how files become pixels.
        in_tiles: images are to be cut into tiles, so that they may be larger than what is read at once.
        places: the slice or frame of each row's files, where these hold several.
        unfit: rows whose files do not go together -> what is wrong with them.
        seen: what the images that were read so far hold.
    """

    images: tuple[str, ...]
    masks: tuple[tuple[str, ...], ...] | None = None
    classes: int = 2
    rules: PixelRules = USUAL
    in_tiles: bool = False
    places: tuple[int | None, ...] | None = None
    mask_rules: MaskRules = AS_USUAL
    runs: Runs | None = None
    second: tuple[tuple[str, ...], ...] | None = None
    unfit: Mapping[int, str] = field(default_factory=dict)
    seen: FileFacts = field(default_factory=FileFacts, compare=False)

    def __call__(self, row: int) -> tuple[Pixels, Pixels | None]:
        if row in self.unfit:
            raise UserError(self.unfit[row])
        stored = read_stored(self._request(self.images[row], "image", row))
        self.seen.note(stored)
        image = to_pixels(stored, self.images[row], self.rules, self.range_found)
        return image, self._mask(row, image)

    def take(self, rows: Sequence[int]) -> "FileReader":
        """A reader of some of the rows, which has seen nothing yet."""
        return replace(
            self,
            images=tuple(self.images[row] for row in rows),
            masks=_taken(self.masks, rows),
            runs=None if self.runs is None else self.runs.take(rows),
            second=_taken(self.second, rows),
            places=_taken(self.places, rows),
            unfit={number: self.unfit[row] for number, row in enumerate(rows) if row in self.unfit},
            seen=FileFacts(),
        )

    def _mask(self, row: int, image: Pixels) -> Pixels | None:
        if self.runs is not None:
            return self.runs.mask(row, (image.shape[0], image.shape[1]), self.images[row])
        return None if self.masks is None else self._joined(row, self.masks[row], (image.shape[0], image.shape[1]))

    def second_mask(self, row: int, size: tuple[int, int]) -> Pixels | None:
        """The mask of a row by the second observer, (H, W) like the first one's; None where there is none.

        Raises:
            UserError: it has another size, or cannot be read.
        """
        paths = self.second[row] if self.second is not None else ()
        return self._joined(row, paths, size) if paths else None

    def _joined(self, row: int, paths: tuple[str, ...], size: tuple[int, int]) -> Pixels:
        """Several masks of one image as one, of foreground where any is."""
        union = np.zeros(size, dtype=np.uint8)
        for path in paths:
            stored = read_stored(self._request(path, "mask", row))
            mask = classes_of(stored, path, self.classes, self.mask_meaning)
            if mask.shape != union.shape:
                raise self._unfit(row, path, union.shape, mask.shape)
            np.maximum(union, mask, out=union)
        return union

    def _unfit(self, row: int, path: str, image: tuple[int, ...], mask: tuple[int, ...]) -> UserError:
        hint = "make the mask anew from this image, or leave both out"
        if image == mask[::-1] and self.rules.orientation == "upright":
            as_stored = read_image(self.images[row], self.rules.model_copy(update={"orientation": "stored"}))
            if as_stored.shape[:2] == mask:
                hint = (
                    "its orientation tag turns the image, and the mask was drawn on the image as it lies in the file; "
                    "set data.options.orientation=stored if all were"
                )
        return UserError(
            f"mask {quoted(path)} is {mask[0]} x {mask[1]} pixels (height x width), "
            f"its image {quoted(self.images[row])} is {image[0]} x {image[1]}: they must be equal;\n{hint}"
        )

    def _request(self, path: str, what: str, row: int) -> ReadRequest:
        place = self.places[row] if self.places is not None else None
        return _request(path, what, self.rules, any_size=self.in_tiles, place=place)

    @cached_property
    def range_found(self) -> Range | None:
        """The values that the wanted percentiles of all images are, which takes reading all; None where not wanted.

        Damaged images are passed over: a run stops at them, and an inspection goes on.
        """
        if self.rules.percentiles is None:
            return None
        with _FINDING:
            return range_of(self._all_that_are_read(), len(self.images), self.rules)

    def _all_that_are_read(self) -> Iterator[StoredImage]:
        for row, path in enumerate(self.images):
            with suppress(UserError):
                yield read_stored(self._request(path, "image", row))

    @property
    def mask_meaning(self) -> Meaning:
        """What the pixels of masks mean: what options say, or else what some of the masks suggest.

        Raises:
            UserError: they may mean several things.
        """
        if isinstance(self._meaning_found, UserError):
            raise self._meaning_found
        return self._meaning_found

    @cached_property
    def _meaning_found(self) -> Meaning | UserError:
        """The meaning, or why there is none: looked for once."""
        meaning = meaning_by(self.mask_rules)
        if meaning.colours and any(is_jpeg(path) for paths in self.masks or () for path in paths):
            return replace(meaning, said=(NEAREST,))
        if self.masks is None or self.classes != 2 or not self.mask_rules.are_guessed:
            return meaning
        with _FINDING:
            try:
                return guessed(self._some_masks(self.masks), meaning)
            except UserError as error:
                return error

    @property
    def masks_said(self) -> tuple[str, ...]:
        """What was guessed of the meaning of masks, or why that cannot be."""
        found = self._meaning_found
        return (" ".join(str(found).splitlines()),) if isinstance(found, UserError) else found.said

    def _some_masks(self, masks: tuple[tuple[str, ...], ...]) -> Iterator[MaskLook]:
        """One mask of some rows, evenly spread; damaged ones are named when they are read."""
        rows = [row for row, paths in enumerate(masks) if paths]
        for place in range(0, len(rows), max(1, -(-len(rows) // LOOKED_AT))):
            path = masks[rows[place]][0]
            with suppress(UserError):
                yield look_at_mask(path, marks_of(read_stored(self._request(path, "mask", rows[place]))))

    def settled(self) -> dict[str, Any]:
        """The rules that are not as usual, with the range that percentiles came to."""
        given = {name: value for name, value in self.rules.given.items() if name not in ("channels", "depth")}
        return given | ({"range": list(self.range_found)} if self.range_found else {})

    def files(self, row: int) -> tuple[str, ...]:
        """The image and the masks of a row."""
        return (self.images[row], *(self.masks[row] if self.masks else ()), *(self.second[row] if self.second else ()))


def read_stored(request: ReadRequest) -> StoredImage:
    """What a file holds, its values as they are.

    Raises:
        UserError: the file is missing, damaged, of a kind that is not read, or has several pages.
    """
    with open_file(request.path, request.what) as opened:
        return stored_in(opened, request)


def stored_in(opened: BinaryIO, request: ReadRequest) -> StoredImage:
    """As :func:`read_stored`, of what is open already.

    Raises:
        UserError: it is damaged, of a kind that is not read, too large, or has several pages.
    """
    head = opened.read(132)
    opened.seek(0)
    try:
        return _reader(head, request)(opened, request)
    except UserError:
        raise
    except NotDecodableError as error:
        raise request.refused(str(error)) from None
    except DamagedImageError as error:
        raise request.damaged(what_it_is(head, str(request.path)) or str(error)) from None
    except OverflowError as error:
        raise request.too_large(str(error)) from None
    except MemoryError:
        raise request.too_large("more pixels than the memory holds") from None
    except Exception as error:  # readers raise what they stumble over: struct, zlib, key, index, assertion
        from PIL import Image, UnidentifiedImageError

        if isinstance(error, Image.DecompressionBombError):
            raise request.too_large(f"more than {request.most or MOST_PIXELS:,} pixels") from None
        if isinstance(error, UnidentifiedImageError):
            from preceptor.data.pixels.pillow import NAMES

            raise request.damaged(what_it_is(head, str(request.path)) or f"it is no {NAMES}") from None
        raise request.damaged(what_it_is(head, str(request.path)) or first_line_shown(error)) from None


def _reader(head: bytes, request: ReadRequest) -> Callable[[BinaryIO, ReadRequest], StoredImage]:
    """Who reads a file that begins like this."""
    from preceptor.data.pixels import dicom, nifti, pillow, tiff

    if head[128:132] == DICOM_MAGIC or ending_of(str(request.path)) in DICOM_SUFFIXES:
        return dicom.read
    if ending_of(str(request.path)) in NIFTI_SUFFIXES:
        return nifti.read
    if head[:2] in (b"II", b"MM") and head[2:4] in (b"*\0", b"\0*", b"+\0", b"\0+"):
        return tiff.read
    return pillow.read


_T = TypeVar("_T")


def _taken(things: tuple[_T, ...] | None, rows: Sequence[int]) -> tuple[_T, ...] | None:
    return None if things is None else tuple(things[row] for row in rows)


def _request(
    path: str | Path, what: str, rules: PixelRules, *, any_size: bool = False, place: int | None = None
) -> ReadRequest:
    return ReadRequest(
        path=path,
        what=what,
        resolve_palette=what == "image",
        channels=rules.channels,
        any_size=any_size,
        is_upright=rules.orientation == "upright",
        place=place,
        axis=rules.axis,
        stack=rules.stack if what == "image" else 1,
    )
