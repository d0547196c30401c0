"""Keys of images: hashes by which a record is found again, whatever the image is called and wherever it lies."""

import numpy as np
from numpy.typing import NDArray

KEY_BYTES = 16

Keys = NDArray[np.bytes_]
"""(N,) of 16 bytes each."""

NO_IMAGE = np.zeros((), dtype=f"S{KEY_BYTES}")
"""The key of a record of which there is no image."""


def as_keys(rows: NDArray[np.uint8]) -> Keys:
    """(N, 16) bytes as keys.

    Raises:
        ValueError: rows of another length.
    """
    if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != KEY_BYTES:
        raise ValueError(f"keys of {KEY_BYTES} bytes were wanted")
    return np.ascontiguousarray(rows).view(f"S{KEY_BYTES}")[:, 0]


def as_bytes(keys: Keys) -> NDArray[np.uint8]:
    """The reverse of :func:`as_keys`."""
    return np.frombuffer(np.ascontiguousarray(keys).tobytes(), dtype=np.uint8).reshape(-1, KEY_BYTES)


def number_of(keys: Keys, known: Keys) -> NDArray[np.int64]:
    """(N,) where each of ``keys`` stands in ``known``, which is sorted; -1 where it does not."""
    if not len(known):
        return np.full(len(keys), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[place] == keys, place, -1)
