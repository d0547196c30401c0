"""What a decoded image is told from others by."""

import numpy as np

from preceptor.data.decoded import pixel_hash


def test_pixel_hash_tells_size_and_values_apart():
    pixels = np.zeros((2, 8, 3), dtype=np.uint8)
    assert pixel_hash(pixels) == pixel_hash(pixels.copy())
    assert pixel_hash(pixels) != pixel_hash(pixels.reshape(4, 4, 3))
    assert pixel_hash(pixels) != pixel_hash(pixels[..., 0])  # a mask of the same size
    other = pixels.copy()
    other[1, 7, 2] = 1
    assert pixel_hash(pixels) != pixel_hash(other)
    assert pixel_hash(pixels[:, ::2]) == pixel_hash(np.ascontiguousarray(pixels[:, ::2]))
