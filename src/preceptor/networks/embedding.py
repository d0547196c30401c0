"""What a network makes of an image before it decides: one vector, or a grid of them."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor

from preceptor.errors import UserError
from preceptor.networks.network import Network
from preceptor.networks.outputs import Outputs

Pooling = Literal["own", "cls", "cls+mean"]
"""How a grid becomes one vector: as the network's own head pools it (an encoder's last map by its mean), its class
token, or the class token followed by the mean of the patches. Register tokens are part of none of them."""


@torch.no_grad()
def embed(network: Network, images: Tensor, pooling: Pooling = "own", *, prefix: int | None = None) -> Tensor:
    """(N, C, H, W) images in [0, 1] -> (N, width) float32, by the network in eval mode; its mode stays as it was.

    Args:
        prefix: how many class and register tokens the network is said to put before the patches, for a check.

    Raises:
        UserError: the network has no vector before its logits, no class token, or another number of such tokens.
    """
    if prefix is not None:
        require_prefix(network, prefix)
    if pooling == "own":
        with _asked(network, ()):
            found = cast(Outputs, network(images))
        if not found.has_embedding:
            raise UserError(f"{network.called!r} has no vector before its logits, so there is nothing to embed with")
        return found.embedding.float()
    tokens = _tokens(network, images)
    patches = tokens[:, prefix_tokens(network) :]
    parts = [tokens[:, 0]] if pooling == "cls" else [tokens[:, 0], patches.mean(dim=1)]
    return torch.cat(parts, dim=1).float()


@torch.no_grad()
def token_grid(network: Network, images: Tensor) -> Tensor:
    """(N, C, H, W) images in [0, 1] -> (N, width, h, w) float32: the last map, patches alone where there are tokens."""
    with _asked(network, ("last",)):
        found = cast(Outputs, network(images))
    if "last" not in found.maps:
        raise UserError(f"{network.called!r} has no last map, so there is no grid of its tokens")
    return found.maps["last"].float()


def embedding_width(network: Network, pooling: Pooling = "own") -> int:
    """How long :func:`embed`'s vectors are.

    Raises:
        UserError: the network has none.
    """
    if pooling == "own":
        return network.shapes["embedding"][0] if "embedding" in network.shapes else _of_an_image(network, pooling)
    return _of_an_image(network, pooling)


def prefix_tokens(network: Network) -> int:
    """How many class and register tokens stand before the patches; none where there are only maps."""
    return int(getattr(getattr(network, "model", None), "num_prefix_tokens", 0))


def require_prefix(network: Network, prefix: int) -> None:
    """Refuse a network with another number of class and register tokens than it is said to have.

    Raises:
        UserError: names both numbers.
    """
    found = prefix_tokens(network)
    if found != prefix:
        raise UserError(
            f"{network.called!r} puts {found} tokens (class and registers) before its patches, and {prefix} were "
            "expected: registers would be averaged in, or patches left out.\nName the architecture that its weights "
            "are of."
        )


def _of_an_image(network: Network, pooling: Pooling) -> int:
    return embed(network, network.made_up_image(), pooling).shape[1]


def _tokens(network: Network, images: Tensor) -> Tensor:
    """(N, class and register tokens + patches, width), normalised as the head sees them."""
    model: Any = getattr(network, "model", None)  # timm is untyped
    if not prefix_tokens(network) or getattr(model, "cls_token", None) is None:
        raise UserError(
            f"{network.called!r} has no class token; its embedding is what its own head pools "
            f"(pooling is one of {', '.join(get_args(Pooling))})"
        )
    with _asked(network, ()):
        tokens: Tensor = model.forward_features(network.prepare(images))
        tokens = getattr(model, "fc_norm", torch.nn.Identity())(tokens)
    patches = tokens.shape[1] - prefix_tokens(network)
    height, width = network.shapes["last"][-2:]
    if patches != height * width:
        raise UserError(f"{network.called!r} has {patches} patches, and a grid of {height}×{width}: not one token each")
    return tokens


@contextmanager
def _asked(network: Network, taps: Collection[str]) -> Iterator[None]:
    """The network in eval mode, asked for these maps alone; afterwards as it was."""
    training, read = network.training, network.read
    network.eval()
    network.read = frozenset(taps)
    try:
        yield
    finally:
        network.read = read
        network.train(training)
