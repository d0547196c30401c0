"""Embeddings of many images on disk: ``.npy`` shards, an index of files, and one class that reads them."""

from preceptor.embeddings.store import Embeddings

__all__ = ["Embeddings"]
