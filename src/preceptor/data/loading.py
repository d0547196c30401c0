"""Packed images and masks on their way to the device where a batch is wanted."""

import threading
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from preceptor.data.augment import as_tensor, augment, to_float
from preceptor.data.order import RowNumbers
from preceptor.data.packed import PackedSet
from preceptor.data.samples import UNKNOWN, is_known
from preceptor.specs import IGNORED, AugmentSpec

_RESIDENT_SHARE = 0.5  # of the free device memory that packed images may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """Where batches are wanted and how they come there; changes nothing but the time and the memory.

    Args:
        device: where batches are wanted; augmentation runs there.
        workers: threads that prepare batches ahead, each computing alone.
        channels_last: memory layout of the images.
        resident: keep the whole part on the device as bytes; None does so on a GPU where it fits.
        batch_group: batches that are loaded together, counted from the start of each epoch.
    """

    device: torch.device | str = "cpu"
    workers: int = 0
    channels_last: bool = False
    resident: bool | None = None
    batch_group: int = 1


class PartPixels:
    """The pixels of a part of a packed set.

    Args:
        rows: (n,) rows of the packed set that make the part.
        augment: changes of each image, or None to leave them as they are.
        seed: of the run, for the changes.
    """

    def __init__(
        self,
        packed: PackedSet,
        rows: RowNumbers,
        loading: Loading,
        *,
        augment: AugmentSpec | None = None,
        seed: int = 0,
    ) -> None:
        self.packed, self.rows = packed, rows
        self.labels: NDArray[np.int64] = packed.frame["label"].to_numpy(dtype=np.int64)[rows]
        self._lacks_mask: NDArray[np.bool_] = ~is_known(packed.frame)[rows]
        self.device = torch.device(loading.device)
        self._augment, self._seed, self._channels_last = augment, seed, loading.channels_last
        self._keys = packed.keys[rows]
        self._on_device = self._move_to_device() if self._should_reside(loading.resident) else None

    def bytes_at(self, positions: RowNumbers) -> tuple[Tensor, Tensor | None]:
        """Packed images and masks at these positions of the part, still bytes, on their way to the device."""
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

    def shown(self, view: int, positions: RowNumbers, images: Tensor, masks: Tensor | None) -> tuple[Tensor, Tensor]:
        """Images as a view shows them, and their targets."""
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
            return pixels, self._targets(masks, positions)
        return pixels, torch.from_numpy(self.labels[positions]).to(self.device, non_blocking=True)

    def _targets(self, masks: Tensor, positions: RowNumbers) -> Tensor:
        """Classes of pixels, :data:`~preceptor.data.samples.UNKNOWN` all over an image whose mask is not known.

        What was filled up around it stays ignored, as that is none of the image.
        """
        targets, lacks = masks.to(torch.int64), self._lacks_mask[positions]
        if not lacks.any():
            return targets
        blank = torch.from_numpy(lacks).to(self.device, non_blocking=True)[:, None, None]
        return targets.masked_fill(blank & (targets != IGNORED) if self.packed.has_border else blank, UNKNOWN)

    @property
    def _dtype(self) -> torch.dtype:
        """Of pixels that are not numbers from 0 to 1 yet; see :func:`preceptor.data.augment.as_tensor`."""
        return torch.uint8 if self.packed.depth == 8 else torch.int16

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
