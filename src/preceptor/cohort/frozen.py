"""How a frozen network is asked: always for as many images at once, so that what it says of one depends on that alone.

Matrix products and convolutions round differently for batches of different sizes. A frozen network's outputs are a
function of the image, bit for bit, only where every call has the same size; so the last batch of an epoch is filled up
with black images, of which nothing is kept.

Large calls cost less an image than small ones. Where that was measured, a network is asked about all batches that were
loaded together, once, and what it says is given out batch by batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from preceptor.data.batches import Batch
from preceptor.errors import UserError
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs


class FrozenOutputs(Protocol):
    """Gets what the frozen network called ``name`` says of a batch in an epoch."""

    def __call__(self, name: str, network: Network, batch: Batch, epoch: int) -> Outputs: ...


@dataclass(slots=True)
class FixedSize:
    """Computes what frozen networks say.

    Args:
        batch: images of a batch.
        rounds: round float32 outputs to what float16 can hold.
        batch_groups: how many batches a network is asked about in one call, by name, 1 where not given; else as many as
            are loaded together.

    Raises:
        UserError: an output that float16 cannot hold.
    """

    batch: int
    rounds: bool = False
    batch_groups: Mapping[str, int] = field(default_factory=dict)
    _said: dict[str, tuple[Tensor, Outputs]] = field(default_factory=dict, init=False)

    def size(self, name: str) -> int:
        """Images of every call of a network."""
        return self.batch * self.batch_groups.get(name, 1)

    def __call__(self, name: str, network: Network, batch: Batch, epoch: int) -> Outputs:
        if batch.batch_group is None or self.batch_groups.get(name, 1) == 1:
            return self.compute(name, network, batch.images)
        if name not in self._said or self._said[name][0] is not batch.batch_group:
            self._said[name] = (batch.batch_group, self.compute(name, network, batch.batch_group))
        return _part(self._said[name][1], slice(batch.start, batch.start + len(batch.images)))

    def compute(self, name: str, network: Network, images: Tensor) -> Outputs:
        """What ``network`` says of up to ``size`` images, every tensor dense in memory."""
        said = network(_filled_up(images, self.size(name)))
        settled = Outputs(
            self._settle(f"{name}'s logits", said.logits),
            self._settle(f"{name}'s embedding", said.embedding),
            {tap: self._settle(f"{name}'s {tap}", tensor) for tap, tensor in said.maps.items()},
        )
        return _part(settled, slice(len(images)))

    def _settle(self, what: str, tensor: Tensor) -> Tensor:
        if self.rounds and tensor.dtype == torch.float32:
            rounded = tensor.to(torch.float16).to(torch.float32)
            if not rounded.isfinite().all() and tensor.isfinite().all():
                raise UserError(
                    f"training.teacher_cache.dtype float16: {what} goes beyond what it can hold (65504); use float32"
                )
            tensor = rounded
        return dense(tensor)


def _part(said: Outputs, which: slice) -> Outputs:
    maps = {tap: tensor[which] for tap, tensor in said.maps.items()}
    return Outputs(said.logits[which], said.embedding[which], maps)


def dense(tensor: Tensor) -> Tensor:
    """``tensor`` without gaps and with canonical strides, maps in the memory order that they have."""
    if lies_channels_last(tensor):
        return _flat(tensor.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    return _flat(tensor)


def lies_channels_last(tensor: Tensor) -> bool:
    """Whether (N, C, H, W) lies in memory as (N, H, W, C), and not as either way would have it."""
    return tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def _flat(tensor: Tensor) -> Tensor:
    return tensor.contiguous().reshape(-1).view(tensor.shape)


def _filled_up(images: Tensor, size: int) -> Tensor:
    if len(images) == size:
        return images
    assert len(images) < size, f"{len(images)} images at once where {size} were announced"
    layout = torch.channels_last if lies_channels_last(images) else torch.contiguous_format
    filled = torch.zeros(size, *images.shape[1:], dtype=images.dtype, device=images.device)
    filled = filled.contiguous(memory_format=layout)
    filled[: len(images)] = images
    return filled
