"""Class-activation maps: which part of an image speaks for a class."""

import torch
import torch.nn.functional as F
from torch import Tensor

from preceptor.networks.network import Network
from preceptor.networks.outputs import stages_of

_SMALLEST = 4  # positions a side, below which a map shows no place


def cam_tap(network: Network) -> str | None:
    """The deepest stage whose map still shows places; None for a network without stages."""
    stages = stages_of(network.shapes)
    large = [tap for tap in stages if min(network.shapes[tap][1:]) >= _SMALLEST]
    return large[-1] if large else stages[0] if stages else None


def grad_cam(network: Network, images: Tensor, classes: Tensor, tap: str) -> Tensor | None:
    """ReLU of the tap's channels weighted by the mean gradient of the class's logit, scaled to a largest value of 1.

    Shapes:
        images: (N, 3, H, W); classes: (N,)
        returns: (N, H, W), bilinear; 0 everywhere where nothing speaks for the class. None where the logits do not
            come from the map itself, as in transformers, whose maps are rearranged copies.

    Source: Selvaraju et al. 2017, arXiv:1610.02391, eq. 1-2.
    """
    with torch.enable_grad():
        outputs = network(images.clone().requires_grad_())
        features = outputs.maps[tap]
        score = outputs.logits.gather(1, classes[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, features, allow_unused=True)
    if gradient is None:
        return None
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    found = (weights * features).sum(dim=1, keepdim=True).relu().detach()
    largest = found.amax(dim=(2, 3), keepdim=True)
    found = found / largest.where(largest > 0, 1.0)
    return F.interpolate(found, size=images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
