"""Heads made of plain layers, written down and read back as JSON.

A head that takes the place of a network's own (SimKD's projector with the teacher's classifier) is saved
with its network. No library can name it, and nothing here is ever unpickled, so its layers are listed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

_LAYERS: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "Conv2d": (
        nn.Conv2d,
        ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode"),
    ),
    "BatchNorm2d": (nn.BatchNorm2d, ("num_features", "eps", "momentum", "affine", "track_running_stats")),
    "Linear": (nn.Linear, ("in_features", "out_features")),
    "ReLU": (nn.ReLU, ("inplace",)),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d, ("output_size",)),
    "Flatten": (nn.Flatten, ("start_dim", "end_dim")),
    "Dropout": (nn.Dropout, ("p",)),
    "Identity": (nn.Identity, ()),
}
_WITH_BIAS = ("Conv2d", "Linear")


def describe(head: nn.Module) -> dict[str, Any]:
    """``head`` as plain values.

    Raises:
        TypeError: it holds a layer that cannot be listed; nest the listed ones in ``nn.Sequential``.
    """
    name = type(head).__name__
    if isinstance(head, nn.Sequential):
        return {"layer": "Sequential", "layers": [describe(part) for part in head]}
    if name not in _LAYERS or type(head) is not _LAYERS[name][0]:
        raise TypeError(f"a head of {name} cannot be saved; use nn.Sequential of {', '.join(_LAYERS)}")
    options = {option: getattr(head, option) for option in _LAYERS[name][1]}
    if name in _WITH_BIAS:
        options["bias"] = head.bias is not None
    return {"layer": name, **options}


def rebuild(saved: Mapping[str, Any]) -> nn.Module:
    """The reverse of :func:`describe`, with new weights."""
    if saved["layer"] == "Sequential":
        layers: Sequence[Mapping[str, Any]] = saved["layers"]
        return nn.Sequential(*(rebuild(layer) for layer in layers))
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in saved.items()}
    make, _ = _LAYERS[str(options.pop("layer"))]
    return make(**options)
