"""Images as their files hold them are looked up by id."""

import numpy as np
import tifffile

from preceptor.data.sources import open_source
from preceptor.data.stored_images import StoredImages

HALF_A_MICRON = {"resolution": (20_000, 20_000), "resolutionunit": 3}


def test_size_and_pixels_of_an_image(tmp_path):
    for name, size, more in (("a/one", (6, 4), HALF_A_MICRON), ("b/two", (5, 9), {})):
        (tmp_path / name).parent.mkdir()
        tifffile.imwrite(tmp_path / f"{name}.tif", np.zeros((*size, 3), dtype=np.uint8), **more)
    table = open_source("folder", str(tmp_path))
    for stored in (StoredImages(table), StoredImages(table.take(np.array([1, 0])))):
        assert stored.size("a/one") == (6, 4)
        assert stored.size("b/two") == (5, 9)
        assert stored.microns("a/one") == 0.5
        assert stored.microns("b/two") is None
        assert stored.microns("c/three") is None


def test_made_images_have_no_file_that_says_it():
    table = open_source("phantom", None, {"images": 40, "size": 16})
    stored = StoredImages(table)
    assert stored.microns(str(table.frame["id"].iloc[0])) is None
