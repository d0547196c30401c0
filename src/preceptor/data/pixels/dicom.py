"""DICOM: stored values through the modality's own table or slope, to be shown in the file's own window.

Signed Hounsfield units of a CT stay such until a window, or the range of the data set, makes levels of them.
``MONOCHROME1`` is bright at low values, colours are RGB whatever they were stored as.
"""

import hashlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from preceptor.data.pixels.reading import DamagedImageError, NotDecodableError, ReadRequest
from preceptor.data.pixels.stored import StoredImage, Values, with_channels
from preceptor.data.pixels.strangers import dicom_of, require_modest_dicom
from preceptor.errors import UserError
from preceptor.extras import install_command

_END_OF_IMAGE = b"\xff\xd9"  # of every kind of JPEG
_ENDS_SO = ("JPEG", "JPEG 2000", "JPEG-LS", "HTJ2K")
_MEANT = 12  # bits up to which the stored range is what the machine measures; 16 are a container
_INVERTED, _GREY = "MONOCHROME1", ("MONOCHROME1", "MONOCHROME2")


def read(opened: BinaryIO, request: ReadRequest) -> StoredImage:
    """Frame ``request.place``, or the only one.

    Raises:
        UserError: several frames and none chosen, or the extra is missing.
        NotDecodableError: a compression without a codec, or no image.
        Exception: of many kinds, from pydicom and its decoders.
    """
    with _quietly():
        found = _opened(dicom_of(opened) if request.is_from_stranger else opened)
        if request.is_from_stranger:
            require_modest_dicom(found, request)
        size = (int(found.get(key) or 1) for key in ("Rows", "Columns", "SamplesPerPixel"))
        request.require_size(*size, item=-(-int(found.get("BitsAllocated") or 8) // 8))
        frames = int(found.get("NumberOfFrames") or 1)
        if frames > 1 and request.place is None:
            raise request.several(frames, "frames")
        return _frame(found, request, request.place or 0)


def about(path: str) -> tuple[int, str | None, tuple[float, ...] | None]:
    """Frames, PatientID and spacing (rows, columns, slices) of a file, whose pixels are not read.

    Raises:
        Exception: of many kinds, from pydicom.
    """
    with _quietly(), open(path, "rb") as opened:
        found = _opened(opened, stop_before_pixels=True)
        spacing = _spacing(found)
        apart = found.get("SpacingBetweenSlices") or found.get("SliceThickness")
        both = (*spacing, *([float(apart)] if apart else [])) if spacing else None
        return int(found.get("NumberOfFrames") or 1), str(found.get("PatientID") or "").strip() or None, both


def spacing_in(opened: BinaryIO) -> tuple[float, float] | None:
    """Distance of rows and of columns in mm; None where the file does not say.

    Raises:
        Exception: of many kinds, from pydicom.
    """
    with _quietly():
        return _spacing(_opened(opened, stop_before_pixels=True))


def hashed(patient: str) -> str:
    """A name for a patient that does not show the PatientID; who knows all PatientIDs can find it."""
    return hashlib.blake2b(patient.encode(), digest_size=6).hexdigest()


def _spacing(found: Any) -> tuple[float, float] | None:
    shared = found.get("SharedFunctionalGroupsSequence")
    measures = shared[0].get("PixelMeasuresSequence") if shared else None
    places = (found.get("PixelSpacing"), found.get("ImagerPixelSpacing"), measures and measures[0].get("PixelSpacing"))
    rows_columns = next((place for place in places if place), None)
    return None if rows_columns is None else (float(rows_columns[0]), float(rows_columns[1]))


@contextmanager
def _quietly() -> Iterator[None]:
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks on odd values of tags that are not used
        yield


def _opened(opened: BinaryIO, *, stop_before_pixels: bool = False) -> Any:
    try:
        import pydicom
    except ImportError:
        raise UserError(f"DICOM files want pydicom, which is not installed: {install_command('dicom')}") from None
    try:
        return pydicom.dcmread(opened, stop_before_pixels=stop_before_pixels)
    except pydicom.errors.InvalidDicomError:
        raise DamagedImageError(
            "it does not begin as a DICOM file does (DICM at byte 128); where it is one without that header, write it "
            "anew with a DICOM tool"
        ) from None


def _frame(found: Any, request: ReadRequest, place: int) -> StoredImage:
    from pydicom.pixels import apply_color_lut, pixel_array

    if not any(name in found for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise NotDecodableError(f"is a DICOM file without pixels{_kind(found)}; leave it out")
    meaning = str(found.get("PhotometricInterpretation", ""))
    _require_known(_syntax(found))
    _require_whole(found)
    try:
        values: Values = pixel_array(found, index=place if int(found.get("NumberOfFrames") or 1) > 1 else None)
    except (RuntimeError, NotImplementedError) as error:
        if "missing dependencies" not in str(error) and "not support" not in str(error):
            raise
        raise NotDecodableError(
            f"is a DICOM file with {_syntax(found).name} compression, which no installed codec decodes: install the "
            f"extra with `{install_command('dicom')}` where it is missing, or decompress it first, for example with "
            "`gdcmconv --raw`"
        ) from None
    if values.size == 0:
        raise DamagedImageError("it holds no pixels")
    if meaning == "PALETTE COLOR":
        values = apply_color_lut(values, found)
    values = with_channels(values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("=")))
    bits = int(found.get("BitsStored") or found.get("BitsAllocated") or 8)
    if values.shape[2] > 1 or request.what == "mask":
        white = (2 ** (8 * values.dtype.itemsize) if meaning == "PALETTE COLOR" else 2**bits) - 1
        return StoredImage(values=values, white=white if values.dtype.kind == "u" else None, colours=values.shape[2])
    if meaning not in _GREY:
        raise NotDecodableError(f"is a DICOM file with one channel of {meaning or 'unknown'} values: grey was expected")
    return _shown(found, values, bits, place)


def _kind(found: Any) -> str:
    """What such a file is for, where it says so: ``: Basic Text SR Storage``."""
    kind = found.get("SOPClassUID") or found.file_meta.get("MediaStorageSOPClassUID")
    return f": {kind.name}" if kind else ""


def _shown(found: Any, values: Values, bits: int, place: int) -> StoredImage:
    """Grey values in the modality's units, with the window in which the file is to be shown."""
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    is_inverted = str(found.PhotometricInterpretation) == _INVERTED
    if values.dtype.kind == "f":
        return StoredImage(values=values, white=None, is_inverted=is_inverted)
    here = _of_frame(found, place)
    signed = int(found.get("PixelRepresentation") or 0)
    ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1], dtype=values.dtype)
    units = apply_modality_lut(values, here)
    if "VOILUTSequence" in here:
        shown = apply_voi_lut(units.astype(np.int32) if units.dtype.kind == "f" else units, here, prefer_lut=True)
        most = 2 ** int(here.VOILUTSequence[0].LUTDescriptor[2]) - 1
        return StoredImage(values=shown, white=None, is_inverted=is_inverted, window=(0.0, float(most)))
    window = _window(here)
    if window is None and "ModalityLUTSequence" in here:
        window = (0.0, float(2 ** int(here.ModalityLUTSequence[0].LUTDescriptor[2]) - 1))
    if window is None and bits <= _MEANT:
        low, high = (float(end) for end in apply_modality_lut(ends, here))
        window = (min(low, high), max(low, high))
    return StoredImage(values=units, white=None, is_inverted=is_inverted, window=window)


def _of_frame(found: Any, place: int) -> Any:
    """The data set that holds slope and window of a frame: its own functional groups, the shared ones, or the file."""
    from pydicom import Dataset

    merged = Dataset()
    merged.PixelRepresentation = found.get("PixelRepresentation", 0)
    merged.BitsStored = found.get("BitsStored", 8)
    groups = [found]
    shared, own = found.get("SharedFunctionalGroupsSequence"), found.get("PerFrameFunctionalGroupsSequence")
    for sequence, number in ((shared, 0), (own, place)):
        if sequence and len(sequence) > number:
            for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
                inner = sequence[number].get(name)
                groups += [inner[0]] if inner else []
    names = (
        "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence",
        "WindowCenter", "WindowWidth", "VOILUTFunction",
    )  # fmt: skip
    for group in groups:
        for name in names:
            if name in group and group[name].value not in (None, ""):
                merged[name] = group[name]
    return merged


def _window(found: Any) -> tuple[float, float] | None:
    """The darkest and the brightest value of the first window (PS3.3 C.11.2.1.2)."""
    centre, width = (_first(found.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None:
        return None
    function = str(found.get("VOILUTFunction") or "LINEAR")
    if function == "SIGMOID":
        raise NotDecodableError("is a DICOM file with a sigmoid window: set data.options.range to choose a linear one")
    if function == "LINEAR_EXACT":
        return centre - width / 2, centre + width / 2
    if width <= 1:
        return centre - 1, centre
    return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    several = (
        value
        if isinstance(value, (list, tuple)) or (hasattr(value, "__iter__") and not isinstance(value, str))
        else [value]
    )
    return next((float(one) for one in several), None)


def _syntax(found: Any) -> Any:
    syntax = found.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        raise DamagedImageError("it does not say how its pixels are stored (no TransferSyntaxUID)")
    return syntax


def _require_known(syntax: Any) -> None:
    if not syntax.is_transfer_syntax:
        raise NotDecodableError(
            f"is a DICOM file in the private transfer syntax {syntax}, which only programs of its maker read: export "
            "it anew, for example as Explicit VR Little Endian"
        )


def _require_whole(found: Any) -> None:
    """Refuse compressed frames that end early: several decoders fill up what they lack."""
    from pydicom.encaps import generate_frames

    if not _syntax(found).is_encapsulated or not _syntax(found).name.startswith(_ENDS_SO):
        return
    frames = int(found.get("NumberOfFrames") or 1)
    for number, frame in enumerate(generate_frames(found.PixelData, number_of_frames=frames)):
        if _END_OF_IMAGE not in frame[-4:]:  # a byte may follow that makes their number even
            raise DamagedImageError(f"frame {number + 1} ends early")
