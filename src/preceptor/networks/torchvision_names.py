"""State dicts of torchvision's networks under timm's names.

Of some families both libraries have the same layers in the same order and call them otherwise. What a BatchNorm adds
to a variance before it takes the root may differ too: the difference goes into the running variances, so that the
network answers as torchvision's does.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from preceptor.networks.shapes_only import shapes_only
from preceptor.networks.state_dicts import Taken, state_in

SAME_LAYERS = {
    "mobilenetv2_100": "mobilenet_v2",
    "mobilenetv3_large_100": "mobilenet_v3_large",
    "mobilenetv3_small_100": "mobilenet_v3_small",
    "mnasnet_050": "mnasnet0_5",
    "mnasnet_075": "mnasnet0_75",
    "mnasnet_100": "mnasnet1_0",
    **{f"efficientnet_b{size}": f"efficientnet_b{size}" for size in range(8)},
    **{f"efficientnetv2_{size}": f"efficientnet_v2_{size}" for size in "sml"},
    **{f"convnext_{size}": f"convnext_{size}" for size in ("tiny", "small", "base", "large")},
    **{f"vgg{size}{norm}": f"vgg{size}{norm}" for size in (11, 13, 16, 19) for norm in ("", "_bn")},
}
"""timm's name of a network -> torchvision's. Those that call all layers alike (ResNet, DenseNet) are not in it."""


def in_timms_names(found: object, architecture: str) -> Taken | None:
    """The state dict in ``found`` under timm's names, where it is of torchvision's network of that kind.

    Args:
        found: what a file holds.
        architecture: of timm, perhaps with a tag of weights.

    Returns:
        None where there is no such network, or what is found fits timm's names as well.
    """
    name = architecture.partition(".")[0]
    if name not in SAME_LAYERS:
        return None
    theirs, ours = _pair(name)
    taken = state_in(found, theirs.names)
    if taken is None or _hits(taken, theirs) <= _hits(state_in(found, ours.names), ours):
        return None
    names = dict(zip(theirs.names, ours.names, strict=True))
    apart = {
        f"{one}.running_var": mine - eps
        for (_, mine), (one, eps) in zip(theirs.epsilons, ours.epsilons, strict=True)
        if mine != eps
    }
    state = {}
    for key, tensor in taken.state.items():
        new = names.get(key, key)
        shaped = _shaped(tensor, ours.names.get(new))
        state[new] = shaped + apart[new] if new in apart else shaped
    said = [*([taken.said] if taken.said else []), f"the names of torchvision's {SAME_LAYERS[name]} as timm's"]
    if apart:
        said.append(
            f"running variances with {next(iter(apart.values())):.3g} added, as torchvision's BatchNorm has another eps"
        )
    return Taken(state, "; ".join(said))


@dataclass(frozen=True)
class _Layers:
    """Names of a network's tensors, in order, with tensors of their shapes; and what each BatchNorm adds."""

    names: dict[str, Tensor]
    epsilons: list[tuple[str, float]]


def _pair(name: str) -> tuple[_Layers, _Layers]:
    """torchvision's layers, and timm's."""
    import torchvision

    from preceptor.networks.libraries import timm

    with shapes_only():
        theirs = torchvision.models.get_model(SAME_LAYERS[name], weights=None)
        return _layers(theirs), _layers(timm.create_model(name))


def _layers(model: nn.Module) -> _Layers:
    norms = [(place, one.eps) for place, one in model.named_modules() if isinstance(one, nn.BatchNorm2d)]
    return _Layers(dict(model.state_dict()), norms)


def _hits(taken: Taken | None, layers: _Layers) -> int:
    return 0 if taken is None else sum(name in layers.names for name in taken.state)


def _shaped(tensor: Tensor, like: Any) -> Tensor:
    """A linear layer's kernel as that of a convolution, where timm has one."""
    is_other = like is not None and tensor.shape != like.shape and tensor.numel() == like.numel()
    return tensor.reshape(like.shape) if is_other else tensor
