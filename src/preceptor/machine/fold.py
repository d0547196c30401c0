"""BatchNorm folded into the convolutions before it, in frozen networks: fewer steps, equal answers up to rounding."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from preceptor.networks.libraries import timm
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs


@torch.no_grad()
def with_folded_norms(network: Network) -> Network:
    """A copy of the frozen ``network`` for asking only, with every BatchNorm that directly follows a convolution in it.

    The network itself where nothing can be folded, or where a tap reads what a convolution gives before its BatchNorm.
    """
    twin = copy.deepcopy(network).eval()
    image = network.made_up_image()
    with _pairs(twin) as pairs:
        before = _tensors(twin(image))
    for name, (conv, norm) in pairs.items():
        _fold(conv, norm)
        parent, _, child = name.rpartition(".")
        setattr(twin.get_submodule(parent), child, _what_is_left(norm))
    is_same = all(
        torch.allclose(new, old, rtol=1e-3, atol=1e-4 * float(old.abs().max()))
        for new, old in zip(_tensors(twin(image)), before, strict=True)
    )
    return twin if pairs and is_same else network


@contextmanager
def _pairs(network: Network) -> Iterator[dict[str, tuple[nn.Conv2d, nn.BatchNorm2d]]]:
    """Filled by a forward pass: BatchNorms by name, with the convolution whose output they get, where both run once."""
    made: dict[int, tuple[Tensor, nn.Conv2d]] = {}  # the tensor is kept, or another could get its address
    found: dict[str, tuple[nn.Conv2d, nn.BatchNorm2d]] = {}
    calls: dict[nn.Module, int] = {}
    names = {module: name for name, module in network.named_modules()}

    def after(conv: nn.Module, given: object, output: Tensor) -> None:
        calls[conv] = calls.get(conv, 0) + 1
        assert isinstance(conv, nn.Conv2d)
        made[id(output)] = output, conv

    def before(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        calls[norm] = calls.get(norm, 0) + 1
        assert isinstance(norm, nn.BatchNorm2d)
        if id(given[0]) in made:
            found[names[norm]] = made[id(given[0])][1], norm

    hooks = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(after))
        elif type(module) in (nn.BatchNorm2d, timm.layers.BatchNormAct2d) and module.running_mean is not None:
            hooks.append(module.register_forward_pre_hook(before))
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
    convs = [conv for conv, _ in found.values()]
    for name, (conv, norm) in list(found.items()):
        if calls[conv] > 1 or calls[norm] > 1 or convs.count(conv) > 1:
            del found[name]


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """In float64: rounded once, at the end."""
    given = (conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    weight, bias, mean, variance, scale, shift = (None if tensor is None else tensor.double() for tensor in given)
    assert weight is not None
    assert mean is not None
    assert variance is not None
    fused = fuse_conv_bn_weights(weight, bias, mean, variance, norm.eps, scale, shift)
    conv.weight, conv.bias = (nn.Parameter(one.to(conv.weight.dtype), requires_grad=False) for one in fused)


def _what_is_left(norm: nn.BatchNorm2d) -> nn.Module:
    """What the module did besides normalising."""
    return nn.Sequential(norm.drop, norm.act) if isinstance(norm, timm.layers.BatchNormAct2d) else nn.Identity()


def _tensors(outputs: Outputs) -> list[Tensor]:
    return [outputs.logits, outputs.embedding, *outputs.maps.values()]
