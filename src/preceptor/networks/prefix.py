"""Tokens before the patches of a transformer: a class token, and registers, which belong to no embedding."""

from preceptor.errors import UserError
from preceptor.networks.network import Network


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
