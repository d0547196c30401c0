"""Batches that are already in memory, as the training loop takes them."""

from collections.abc import Generator, Sequence
from dataclasses import replace

import torch

from preceptor.data.batches import Batch
from preceptor.data.packed import PackedSet


class Held:
    """A :class:`~preceptor.data.batches.Feed` of the same batches in every epoch.

    Args:
        packed: the set whose rows they show.
        batch_group: how many are asked about at once, which therefore lie together.
    """

    def __init__(self, packed: PackedSet, batches: Sequence[Batch], batch_group: int = 1) -> None:
        self.packed = packed
        self.batches: list[Batch] = []
        for first in range(0, len(batches), batch_group):
            images = torch.cat([batch.images for batch in batches[first : first + batch_group]])
            for number, batch in enumerate(batches[first : first + batch_group]):
                start = number * len(batch.images)
                own = images[start : start + len(batch.images)]
                self.batches.append(replace(batch, images=own, batch_group=images, start=start))

    def __len__(self) -> int:
        return len(self.batches)

    def epochs(self, first: int, last: int, start: int = 0) -> Generator[Batch]:
        for epoch in range(first, last):
            yield from self.batches[start if epoch == first else 0 :]
