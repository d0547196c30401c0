"""What frozen networks say of training images, kept on disk: computed once, read by every epoch and run that can."""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.teacher_cache.folder import CacheEntry, everything_kept, key_of, prune
    from preceptor.teacher_cache.reader import CacheReader
    from preceptor.teacher_cache.replay import Replay

__all__ = [
    "CacheEntry",
    "CacheReader",
    "Replay",
    "everything_kept",
    "key_of",
    "prune",
]

__getattr__ = lazy_names(
    __name__,
    {
        "folder": ["CacheEntry", "everything_kept", "key_of", "prune"],
        "reader": ["CacheReader"],
        "replay": ["Replay"],
    },
)
