"""What losses on feature maps share: sizes, attention, norms that cannot divide by zero."""

import torch
import torch.nn.functional as F
from torch import Tensor


def to_common_size(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Both maps at the smaller height and the smaller width, by adaptive average pooling of the larger.

    Shapes:
        first: (N, C, H, W), second: (M, D, H', W'); other shapes are returned as they are
    """
    if first.ndim != 4 or second.ndim != 4:
        return first, second
    size = (min(first.shape[2], second.shape[2]), min(first.shape[3], second.shape[3]))
    return pool_to(first, size), pool_to(second, size)


def pool_to(feature_map: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, H, W) averaged to (N, C, *size); a map that has this size is returned as it is."""
    if feature_map.shape[2:] == size:
        return feature_map
    return F.adaptive_avg_pool2d(feature_map, size)


def unit(vectors: Tensor, *, dim: int = 1, floor: float | Tensor = 1e-12) -> Tensor:
    """Divide by the L2 norm along ``dim``, or by ``floor`` where that is more; these pass no gradient."""
    norm: Tensor = torch.linalg.vector_norm(vectors, dim=dim, keepdim=True)
    is_small = norm <= floor
    return vectors.detach().where(is_small, vectors) * torch.where(
        is_small, 1.0 / floor, 1.0 / norm.masked_fill(is_small, 1.0)
    )


def attention_map(maps: Tensor, *, exponent: int) -> Tensor:
    """Where a map is active: the mean over channels of F to the power ``exponent``, as a unit vector.

    The means are divided by the largest of a map first, which changes neither the result nor its gradient
    (both are free of scale) but keeps the squares of large values finite. Norms below 1e-12 count as 1e-12.

    Shapes:
        maps: (N, C, H, W)
        returns: (N, H * W)

    Source: Zagoruyko & Komodakis 2017, arXiv:1612.03928
    """
    activity = maps.pow(exponent).mean(dim=1).flatten(1)
    largest = activity.detach().abs().amax(dim=1, keepdim=True).clamp_min(1e-24)
    return unit(activity / largest, floor=1e-12 / largest)


def spatial_mean(feature_map: Tensor) -> Tensor:
    """Global average pooling: (N, C, H, W) to (N, C)."""
    return feature_map.mean(dim=(2, 3))
