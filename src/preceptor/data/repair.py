"""Going on when a packed row turns out to be damaged: the images are packed anew."""

import os
from collections.abc import Callable
from typing import TypeVar

from preceptor.data.cache import discard
from preceptor.data.rows import DamagedRowError
from preceptor.errors import DamagedFileError
from preceptor.notes import Note, note_aside

_T = TypeVar("_T")


def on_sound_pixels(work: Callable[[], _T], note: Note = note_aside) -> _T:
    """Do ``work``, which prepares images and reads them; once more where a row that it reads is damaged.

    Raises:
        DamagedFileError: one of several processes has met the damage; or it was met again.
    """
    try:
        return work()
    except DamagedRowError as error:
        discard(error)
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:  # the others are in the middle of a step
            raise DamagedFileError(
                error.path,
                error.reason,
                "The packed set was removed. Give the same command again: the images are packed anew, and a run that "
                "has begun goes on from its last checkpoint.",
            ) from None
        note(f"{error.path}: {error.reason}; the images are packed anew")
    try:  # outside of the handler, which would keep everything that the first attempt held in memory
        return work()
    except DamagedRowError as error:
        discard(error)
        raise DamagedFileError(
            error.path,
            f"{error.reason}, though these images were packed anew just now",
            "Check this machine's disk and memory, or set data.cache to a folder on another disk.",
        ) from None
