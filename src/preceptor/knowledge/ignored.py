"""Pixels of a mask that are marked to be ignored count in no loss: what remains, and means over it.

Everything here takes ``known`` (N, H, W), True where a pixel counts. Losses pass None where no mask of the data has
pixels to ignore, and then compute as if there were no such thing.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from preceptor.specs import IGNORED

KnownIn = Callable[[Tensor], Tensor | None]
"""Map -> (N, H, W) True where a position of it counts, or None where all do."""


def known_pixels(targets: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """(N, H, W) True where the nearest pixel of the masks ``targets`` counts.

    Args:
        targets: (N, H', W') int64, :data:`~preceptor.specs.IGNORED` where a pixel is ignored.
        size: (H, W) of the map that is compared.
    """
    known = targets != IGNORED
    if known.shape[-2:] == tuple(size):
        return known
    return F.interpolate(known[:, None].float(), size=tuple(size), mode="nearest")[:, 0] > 0.5


def mean_of_known(values: Tensor, known: Tensor | None) -> Tensor:
    """Mean of ``values`` over the pixels that count, and over channels where there are any; 0 where none counts.

    Shapes:
        values: (N, H, W) or (N, C, H, W); known: (N, H, W) or None
        returns: ()
    """
    if known is None:
        return values.mean()
    if values.ndim == 4:
        values = values.mean(dim=1)
    return values.where(known, 0.0).sum() / known.sum().clamp_min(1)


def means_of_known(values: Tensor, known: Tensor) -> Tensor:
    """The same image by image: (N, C, H, W) or (N, H, W) to (N, C) or (N,)."""
    mask = known if values.ndim == 3 else known[:, None]
    total = values.where(mask, 0.0).flatten(-2).sum(dim=-1)
    return total / mask.flatten(-2).sum(dim=-1).clamp_min(1)


def silenced(maps: Tensor, known: Tensor | None) -> Tensor:
    """(N, C, H, W) maps, 0 where a pixel is ignored."""
    return maps if known is None else maps.where(known[:, None], 0.0)


def without_ignored(logits: Tensor, known: Tensor | None) -> Tensor:
    """(N, C, H, W) maps so low where a pixel is ignored that a softmax over positions gives it nothing."""
    return logits if known is None else logits.masked_fill(~known[:, None], torch.finfo(logits.dtype).min)


def all_known(_: Tensor) -> None:
    """That every position of a map counts."""
    return
