"""Embeddings of many images on disk: ``.npy`` shards, an index of files, and one class that reads them."""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.embeddings.store import Embeddings

__all__ = ["Embeddings"]

__getattr__ = lazy_names(__name__, {"store": ["Embeddings"]})
