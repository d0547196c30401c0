"""TIFF and PNG as tifffile, imagecodecs and Pillow write them: read right, or refused with the true reason.

What is right is worked out from the values that were written, not by a reader.
"""

import logging
import warnings

import pytest

from preceptor.data.images import read_image
from preceptor.errors import UserError

from .made import every


def all_right(made, folder, read=read_image):
    """Names of what was read wrongly, each with what was wrong; and how many files there were."""
    from .made import check

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the writers' remarks
        said = {one.name: check(one, folder, read, UserError) for one in made}
    return {name: wrong for name, wrong in said.items() if wrong not in (None, "cannot be made")}, list(said.values())


def test_some_of_every_kind_are_read_right(tmp_path):
    made = every()
    wrong, said = all_right(made[::37], tmp_path)
    assert not wrong
    assert said.count(None) > 90


@pytest.mark.slow
def test_every_kind_is_read_right(tmp_path):
    wrong, said = all_right(every(), tmp_path)
    assert not wrong
    assert said.count(None) > 4000
