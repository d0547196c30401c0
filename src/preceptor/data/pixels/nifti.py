"""NIfTI: slices of a volume, which is first turned so that its axes go right, forward and up (RAS).

A slice along axis 2 (axial) shows the front at the top, one along 0 (sagittal) or 1 (coronal) the head; its columns
go right, or for axis 0 forward. With a stack, a slice's neighbours are its channels; beyond the ends the last slice
is repeated.
"""

import logging
import os
import warnings
from functools import lru_cache
from typing import Any, BinaryIO

import numpy as np

from preceptor.data.pixels.reading import NotDecodableError, ReadRequest
from preceptor.data.pixels.stored import StoredImage, Values
from preceptor.errors import UserError
from preceptor.extras import install_command

_KEPT = 2  # volumes in memory: slices of one are read one after the other


def read(opened: BinaryIO, request: ReadRequest) -> StoredImage:
    """Slice ``request.place``, or the only one.

    Raises:
        UserError: several slices and none chosen, several volumes, or the extra is missing.
        Exception: of many kinds, from nibabel.
    """
    status = os.fstat(opened.fileno())
    values, window = _volume(str(request.path), status.st_mtime_ns, status.st_size)
    values, is_colour = _channels(values, request)
    if values.ndim == 2:
        values = values[:, :, None]
    slices = values.shape[request.axis]
    if request.place is None and slices > 1:
        raise request.several(slices, f"slices along axis {request.axis}")
    at, half = request.place or 0, request.stack // 2
    places = [min(max(number, 0), slices - 1) for number in range(at - half, at + half + 1)]
    chosen = [np.take(values, number, axis=request.axis) for number in places]
    flat = [one.swapaxes(0, 1)[::-1] for one in chosen]  # the last axis upwards, the first to the right
    pixels = np.stack(flat, axis=2) if flat[0].ndim == 2 else flat[0]
    white = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}.get(pixels.dtype)
    return StoredImage(values=np.ascontiguousarray(pixels), white=white, colours=3 if is_colour else 1, window=window)


def about(path: str, axis: int) -> tuple[int, tuple[float, ...]]:
    """Slices along ``axis``, and spacing along all three, of the volume as it is cut."""
    import nibabel

    image = nibabel.as_closest_canonical(_loaded(path))
    shape = (*image.shape, 1, 1)[:3]
    spacing = tuple(float(size) for size in (*image.header.get_zooms(), 1.0, 1.0)[:3])
    return shape[axis], spacing


def _loaded(path: str) -> Any:
    try:
        import nibabel
    except ImportError:
        raise UserError(f"NIfTI files want nibabel, which is not installed: {install_command('nifti')}") from None
    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
    return nibabel.load(path)


@lru_cache(maxsize=_KEPT)
def _volume(path: str, time: int, size: int) -> tuple[Values, tuple[float, float] | None]:
    """All values of a file, which has this time of change and size, and the window that its header names."""
    import nibabel
    from nibabel.spatialimages import SpatialImage

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _loaded(path)
        if not isinstance(image, SpatialImage):
            raise NotDecodableError("is a NIfTI file of surfaces or networks (CIFTI), not of a volume; leave it out")
        header = image.header
        low, high = float(header.get("cal_min", 0)), float(header.get("cal_max", 0))
        values: Values = np.asanyarray(nibabel.as_closest_canonical(image).dataobj)
    if values.dtype.names is None and not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    return values, (low, high) if low < high else None


def _channels(values: Values, request: ReadRequest) -> tuple[Values, bool]:
    """Colours, or the volumes of a file with as many as channels are wanted, as a last axis."""
    if values.dtype.names is not None:
        return np.stack([values[name] for name in values.dtype.names[:3]], axis=-1), True
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim <= 3:
        return values, False
    if values.ndim == 4 and values.shape[3] == request.channels and request.stack == 1:
        return values, False
    several = 1
    for count in values.shape[3:]:
        several *= count
    raise request.several(several, f"volumes of {' x '.join(map(str, values.shape[:3]))}")
