"""What images look like, in numbers."""

import numpy as np

from preceptor.data.appearance import appearance
from preceptor.data.stains import EOSIN, HAEMATOXYLIN


def test_grey_and_red_by_hand():
    images = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    images[0] = 51
    images[1, ..., 0] = 255
    found = appearance(images)
    np.testing.assert_allclose(found["brightness"], [0.2, 1 / 3])
    np.testing.assert_allclose(found["saturation"], [0.0, 1.0])


def test_amounts_of_stain_are_found():
    """White light through 0.6 of one stain and 0.3 of the other."""
    units = [np.array(stain) / np.linalg.norm(stain) for stain in (HAEMATOXYLIN, EOSIN)]
    density = 0.6 * units[0] + 0.3 * units[1]
    images = np.broadcast_to(np.round(65535 * np.exp(-density)).astype(np.uint16), (1, 8, 8, 3))
    found = appearance(images)
    np.testing.assert_allclose([found["haematoxylin"][0], found["eosin"][0]], [0.6, 0.3], atol=1e-3)


def test_one_channel_has_a_brightness_only():
    assert set(appearance(np.full((1, 4, 4, 1), 255, dtype=np.uint8))) == {"brightness"}
