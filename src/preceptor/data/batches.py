"""From packed rows to batches, in an order that is a pure function of (seed, stream, epoch)."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from preceptor.data.ahead import in_order
from preceptor.data.augment import check_augment
from preceptor.data.loading import Loading, PartPixels, compute_alone
from preceptor.data.order import RowNumbers, SampleOrder, Share
from preceptor.data.packed import PackedSet
from preceptor.errors import UserError
from preceptor.specs import AugmentSpec

_IN_ORDER, _ALL, _HERE = SampleOrder(), Share(), Loading()


@dataclass(frozen=True, slots=True)
class Batch:
    """Some samples of a part, N of them.

    Args:
        images: (N, C, H, W) float32 in [0, 1].
        targets: (N,) int64 classes, or (N, H, W) int64 for masks.
        positions: (N,) int64, on the CPU: where in the part each sample stands; the same in every epoch.
        rows: (N,) int64, on the CPU: rows of the packed set.
        whole: size of the batch over all ranks, of which this is one rank's slice.
        view: which version of the images this is.
        batch_group: the images of all batches that were loaded together, among which these begin at ``start``.
    """

    images: Tensor
    targets: Tensor
    positions: Tensor
    rows: Tensor
    whole: int
    view: int = 0
    batch_group: Tensor | None = None
    start: int = 0


class Feed(Protocol):
    """Where training gets its batches: from :class:`Batches`, or from whoever has them already."""

    @property
    def packed(self) -> PackedSet:
        """The packed set whose rows they show."""

    def __len__(self) -> int:
        """Batches per epoch."""

    def epochs(self, first: int, last: int, start: int = 0) -> Generator[Batch]:
        """See :meth:`Batches.epochs`."""


class _BatchGroup(NamedTuple):
    """Batches that are loaded together.

    Args:
        view: that they show.
        parts: positions of each batch's samples, in this process.
        wholes: size of each batch over all ranks.
        skipped: how many of the first ones are not wanted.
    """

    view: int
    parts: list[RowNumbers]
    wholes: list[int]
    skipped: int


class Batches:
    """The batches of one part of a packed set.

    Args:
        packed: where the pixels are.
        rows: (n,) rows of the packed set that make the part.
        batch_size: samples per batch over all ranks.
        order: in which the samples follow one another.
        augment: changes of each image, or None to leave them as they are.
        share: what this process gets of every batch.
        loading: where batches are wanted.

    Raises:
        UserError: an empty part, a batch larger than what is to be shuffled, a transpose of images that are
            not square, balancing of masks.
    """

    def __init__(
        self,
        packed: PackedSet,
        rows: RowNumbers,
        *,
        batch_size: int,
        order: SampleOrder = _IN_ORDER,
        augment: AugmentSpec | None = None,
        share: Share = _ALL,
        loading: Loading = _HERE,
    ) -> None:
        self.packed = packed
        self.rows = np.asarray(rows, dtype=np.int64)
        self.batch_size = batch_size
        self._order, self._augment, self._share, self._loading = order, augment, share, loading
        self._check_part()
        self._pixels = PartPixels(packed, self.rows, loading, augment=augment, seed=order.seed)
        self._count = len(self._positions(0))
        self._check_size()

    def _check_part(self) -> None:
        if not len(self.rows):
            raise UserError(f"{self.packed.source}: a part of the split holds no image.")
        if self._order.balance and self.packed.task == "segmentation":
            raise UserError("balance: masks have no class per image to balance by. Leave balance out.")
        if self._augment:
            check_augment(self._augment, self.packed.size)
        rank, world = self._share.rank, self._share.world
        if not 0 <= rank < world <= self.batch_size:
            raise UserError(
                f"batch_size is {self.batch_size} with {world} processes; each needs at least one image of it."
            )

    def _check_size(self) -> None:
        order = self._order
        if self.batch_size > self._count and (order.shuffle or order.drop_last):
            raise UserError(
                f"batch_size is {self.batch_size}, but there are only {self._count} images to train on"
                f"{' after balancing' if order.balance else ''}.\nChoose a batch_size of at most {self._count}."
            )

    @property
    def device(self) -> torch.device:
        """Where the batches come to."""
        return self._pixels.device

    def __len__(self) -> int:
        """Batches per epoch."""
        return self._order.batches(self._count, self.batch_size)

    @property
    def left_out(self) -> int:
        """Images of each epoch that are in no batch."""
        return max(0, self._count - len(self) * self.batch_size)

    def _positions(self, epoch: int) -> RowNumbers:
        """Positions in the order of an epoch."""
        return self._order.positions(self._pixels.labels, epoch)

    def view(self, epoch: int) -> int:
        """Which version of the images ``epoch`` shows."""
        return 0 if self._augment is None else self._augment.view(epoch)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch (the first is 0), from number ``start`` on."""
        return self.epochs(epoch, epoch + 1, start)

    def epochs(self, first: int, last: int, start: int = 0) -> Generator[Batch]:
        """The batches of the epochs from ``first`` to before ``last``, from number ``start`` of the first one on.

        Workers go on to the next epoch while the last batches of one are used.
        """
        batch_groups = self._batch_groups(first, last, start)
        if self.device.type == "cpu":
            found = in_order(
                lambda batch_group: self._finish(self._load(batch_group)),
                batch_groups,
                self._loading.workers,
                compute_alone,
            )
        else:  # threads read; what runs on the device is started from one thread
            found = map(self._finish, in_order(self._load, batch_groups, self._loading.workers))
        for batches in found:
            yield from batches

    def _batch_groups(self, first: int, last: int, start: int) -> Iterator[_BatchGroup]:
        """What is loaded together, with the bounds that it has in a whole epoch."""
        for epoch in range(first, last):
            order, view = self._positions(epoch), self.view(epoch)
            begin = start if epoch == first else 0
            for number in range(begin - begin % self._loading.batch_group, len(self), self._loading.batch_group):
                numbers = range(number, min(number + self._loading.batch_group, len(self)))
                batches = [order[n * self.batch_size : (n + 1) * self.batch_size] for n in numbers]
                wholes = [len(batch) for batch in batches]
                yield _BatchGroup(view, [self._share.of(batch) for batch in batches], wholes, max(0, begin - number))

    def _load(self, batch_group: _BatchGroup) -> tuple[_BatchGroup, RowNumbers, Tensor, Tensor | None]:
        positions = np.concatenate(batch_group.parts)
        return (batch_group, positions, *self._pixels.bytes_at(positions))

    def _finish(self, loaded: tuple[_BatchGroup, RowNumbers, Tensor, Tensor | None]) -> list[Batch]:
        """The wanted batches of a group of batches."""
        batch_group, positions, pixels, masks = loaded
        images, targets = self._pixels.shown(batch_group.view, positions, pixels, masks)
        rows, where = torch.from_numpy(self.rows[positions]), torch.from_numpy(positions)
        batches, start = [], 0
        for part, whole in zip(batch_group.parts, batch_group.wholes, strict=True):
            own = slice(start, start + len(part))
            batches.append(
                Batch(
                    images[own],
                    targets[own],
                    where[own],
                    rows[own],
                    whole,
                    batch_group.view,
                    batch_group=images,
                    start=start,
                )
            )
            start += len(part)
        return batches[batch_group.skipped :]
