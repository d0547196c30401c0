"""From packed rows to batches, in an order that is a pure function of (seed, stream, epoch)."""

import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from preceptor.data.ahead import in_order
from preceptor.data.augment import as_tensor, augment, check_augment, to_float
from preceptor.data.packed import PackedSet
from preceptor.errors import UserError
from preceptor.randomness import key, permutation
from preceptor.specs import AugmentSpec

Balance = Literal["over", "under"]
Rows = NDArray[np.int64]
_RESIDENT_SHARE = 0.5  # of the free device memory that packed images may take


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
    parts: list[Rows]
    wholes: list[int]
    skipped: int


class Batches:
    """The batches of one part of a packed set.

    Args:
        packed: where the pixels are.
        rows: (n,) rows of the packed set that make the part.
        batch_size: samples per batch over all ranks.
        seed: of the run.
        stream: what the order is for, such as the stage's name; another stream, another order.
        augment: changes of each image, or None to leave them as they are.
        shuffle: whether each epoch has an order of its own.
        balance: ``over`` repeats samples of small classes up to the biggest, ``under`` takes as many of each
            class as the smallest has; drawn anew in each epoch. Copies of a sample in an epoch are alike.
        drop_last: leave out the last batch if it is smaller.
        smallest: leave out a last batch of fewer images than this, over all ranks.
        device: where batches are wanted; augmentation runs there.
        workers: threads that prepare batches ahead, each computing alone; changes nothing but the time.
        rank, world: this process and how many there are; each gets one of ``world`` near-equal runs of every
            batch, which is empty where the last batch is smaller than ``world``.
        channels_last: memory layout of the images.
        resident: keep the whole part on the device as bytes; None does so on a GPU where it fits.
        batch_group: batches that are loaded together, counted from the start of each epoch; changes no batch.

    Raises:
        UserError: an empty part, a batch larger than what is to be shuffled, a transpose of images that are
            not square, balancing of masks.
    """

    def __init__(
        self,
        packed: PackedSet,
        rows: Rows,
        *,
        batch_size: int,
        seed: int = 0,
        stream: str = "",
        augment: AugmentSpec | None = None,
        shuffle: bool = False,
        balance: Balance | None = None,
        drop_last: bool = False,
        smallest: int = 1,
        device: torch.device | str = "cpu",
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
        channels_last: bool = False,
        resident: bool | None = None,
        batch_group: int = 1,
    ) -> None:
        self.packed = packed
        self.rows = np.asarray(rows, dtype=np.int64)
        self.batch_size = batch_size
        self.device = torch.device(device)
        self._seed, self._stream, self._augment = seed, stream, augment
        self._shuffle, self._balance, self._drop_last = shuffle, balance, drop_last
        self._smallest = smallest
        self._workers, self._rank, self._world = workers, rank, world
        self._channels_last, self._batch_group = channels_last, batch_group
        self._keys = packed.keys[self.rows]
        self._labels = packed.frame["label"].to_numpy(dtype=np.int64)[self.rows]
        self._check()
        self._on_device = self._move_to_device() if self._should_reside(resident) else None

    def _check(self) -> None:
        if not len(self.rows):
            raise UserError(f"{self.packed.source}: a part of the split holds no image.")
        if self._balance and self.packed.task == "segmentation":
            raise UserError("balance: masks have no class per image to balance by. Leave balance out.")
        if self._balance and not self._shuffle:
            raise ValueError("Batches: balance wants shuffle, or every batch would hold one class only.")
        if self._augment:
            check_augment(self._augment, self.packed.size)
        if not 0 <= self._rank < self._world <= self.batch_size:
            raise UserError(
                f"batch_size is {self.batch_size} with {self._world} processes; each needs at least one image of it."
            )
        count = len(self._order(0))
        if self.batch_size > count and (self._shuffle or self._drop_last):
            raise UserError(
                f"batch_size is {self.batch_size}, but there are only {count} images to train on"
                f"{' after balancing' if self._balance else ''}.\nChoose a batch_size of at most {count}."
            )
        self._count = count

    def __len__(self) -> int:
        """Batches per epoch."""
        whole, rest = divmod(self._count, self.batch_size)
        return whole if self._drop_last or rest < self._smallest else whole + 1

    @property
    def _dtype(self) -> torch.dtype:
        """Of pixels that are not numbers from 0 to 1 yet; see :func:`preceptor.data.augment.as_tensor`."""
        return torch.uint8 if self.packed.depth == 8 else torch.int16

    @property
    def left_out(self) -> int:
        """Images of each epoch that are in no batch."""
        return max(0, self._count - len(self) * self.batch_size)

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
                lambda batch_group: self._finish(self._load(batch_group)), batch_groups, self._workers, compute_alone
            )
        else:  # threads read; what runs on the device is started from one thread
            found = map(self._finish, in_order(self._load, batch_groups, self._workers))
        for batches in found:
            yield from batches

    def _batch_groups(self, first: int, last: int, start: int) -> Iterator[_BatchGroup]:
        """What is loaded together, with the bounds that it has in a whole epoch."""
        for epoch in range(first, last):
            order, view = self._order(epoch), self.view(epoch)
            begin = start if epoch == first else 0
            for number in range(begin - begin % self._batch_group, len(self), self._batch_group):
                numbers = range(number, min(number + self._batch_group, len(self)))
                batches = [order[n * self.batch_size : (n + 1) * self.batch_size] for n in numbers]
                wholes = [len(batch) for batch in batches]
                yield _BatchGroup(view, [self._share(batch) for batch in batches], wholes, max(0, begin - number))

    def _share(self, batch: Rows) -> Rows:
        """What this rank has of a batch."""
        size = len(batch)
        return batch[self._rank * size // self._world : (self._rank + 1) * size // self._world]

    def _order(self, epoch: int) -> Rows:
        """Positions in the order of this epoch."""
        if self._balance:
            chosen = balanced(self._labels, self._balance, key(self._seed, "balance", self._stream, epoch))
        else:
            chosen = np.arange(len(self.rows), dtype=np.int64)
        if not self._shuffle:
            return chosen
        return chosen[permutation(key(self._seed, "order", self._stream, epoch), len(chosen))]

    def _load(self, batch_group: _BatchGroup) -> tuple[_BatchGroup, Rows, Tensor, Tensor | None]:
        positions = np.concatenate(batch_group.parts)
        return (batch_group, positions, *self._bytes(positions))

    def _finish(self, loaded: tuple[_BatchGroup, Rows, Tensor, Tensor | None]) -> list[Batch]:
        """The wanted batches of a group of batches."""
        batch_group, positions, pixels, masks = loaded
        images, targets = self._changed(batch_group.view, positions, pixels, masks)
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

    def _bytes(self, positions: Rows) -> tuple[Tensor, Tensor | None]:
        """Packed images and masks at these positions, still bytes, on their way to the device."""
        if self._on_device is not None:
            index = torch.from_numpy(positions).to(self.device, non_blocking=True)
            images, masks = self._on_device
            return images.index_select(0, index), None if masks is None else masks.index_select(0, index)
        pinned = self.device.type == "cuda"
        height, width = self.packed.size
        shape = (len(positions), height, width, self.packed.channels)
        images = torch.empty(shape, dtype=self._dtype, pin_memory=pinned)
        masks = None
        if self.packed.masks is not None:
            masks = torch.empty((len(positions), height, width), dtype=torch.uint8, pin_memory=pinned)
        self.packed.read(self.rows[positions], images.numpy(), None if masks is None else masks.numpy())
        return images, masks

    def _changed(self, view: int, positions: Rows, images: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor]:
        """Images as this view shows them, and their targets."""
        images = images.to(self.device, non_blocking=True)
        masks = None if masks is None else masks.to(self.device, non_blocking=True)
        if self._augment is None or not len(positions):
            pixels = to_float(images, channels_last=self._channels_last)
        else:
            pixels, masks = augment(
                images,
                masks,
                self._augment,
                seed=self._augment.seed_of(self._seed),
                view=view,
                ids=self._keys[positions],
                channels_last=self._channels_last,
            )
        if masks is not None:
            return pixels, masks.to(torch.int64)
        return pixels, torch.from_numpy(self._labels[positions]).to(self.device, non_blocking=True)

    def _should_reside(self, wanted: bool | None) -> bool:
        if wanted is not None or self.device.type != "cuda":
            return bool(wanted)
        height, width = self.packed.size
        bytes_each = self.packed.channels * self.packed.depth // 8 + (self.packed.masks is not None)
        needed = len(self.rows) * height * width * bytes_each
        return needed < _RESIDENT_SHARE * torch.cuda.mem_get_info(self.device)[0]

    def _move_to_device(self) -> tuple[Tensor, Tensor | None]:
        height, width = self.packed.size
        count, step = len(self.rows), 1024
        images = torch.empty((count, height, width, self.packed.channels), dtype=self._dtype, device=self.device)
        masks = None
        if self.packed.masks is not None:
            masks = torch.empty((count, height, width), dtype=torch.uint8, device=self.device)
        for first in range(0, count, step):
            some_images, some_masks = self.packed.read(self.rows[first : first + step])
            images[first : first + step] = as_tensor(some_images)
            if masks is not None and some_masks is not None:
                masks[first : first + step] = torch.from_numpy(some_masks)
        return images, masks


def compute_alone() -> None:
    """Make torch compute in this thread only, and no other thread notice.

    A thread that prepares batches beside the training would otherwise bring a team of its own, and the
    two teams would wait for each other on every operation. ``torch.set_num_threads`` sets the number for
    the calling thread and for threads yet to come; a short-lived thread puts the latter back.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    other = threading.Thread(target=torch.set_num_threads, args=(before,))
    other.start()
    other.join()


def balanced(labels: NDArray[np.int64], balance: Balance, stream: int) -> Rows:
    """Positions such that each class that occurs does so equally often, class after class.

    ``over``: as often as the most frequent, each sample floor or ceil of its class's ratio times.
    ``under``: as often as the rarest, no sample twice.
    """
    found, counts = np.unique(labels, return_counts=True)
    wanted = int(counts.max() if balance == "over" else counts.min())
    chosen = []
    for label, count in zip(found.tolist(), counts.tolist(), strict=True):
        members = np.flatnonzero(labels == label)
        copies, rest = divmod(wanted, count)
        some = permutation(key(stream, label), count)[:rest]
        chosen.append(np.concatenate([np.tile(members, copies), members[some]]))
    return np.concatenate(chosen)
