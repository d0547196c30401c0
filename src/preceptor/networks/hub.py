"""Whether pretrained weights can be had, asked before a library retries for a minute."""

import os
import socket
from urllib.parse import urlparse

import huggingface_hub

from preceptor.errors import UserError
from preceptor.hub import FILES, WEIGHTS_FOLDER, is_cached

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def no_weights(name: str, reason: str) -> UserError:
    """The error for weights that cannot be had: why, and how to go on."""
    return UserError(
        f"{name}: its ImageNet weights cannot be had: {reason}.\n"
        "Go on with `weights: none` (start from random numbers: more epochs, a lower end), or give a local folder or "
        "file: `weights: PATH` to a .safetensors file, a PyTorch state dict, or a folder saved by timm or preceptor. "
        f"The folder that {WEIGHTS_FOLDER} names is looked into first, for timm's name with .safetensors behind it."
    )


def require_hub(name: str, repository: str, revision: str | None = None, files: tuple[str, ...] = FILES) -> None:
    """Raise the helpful error at once where the hub's name does not resolve and nothing is in the cache."""
    reason = out_of_reach(repository, revision, files)
    if reason is not None:
        raise no_weights(name, reason)


def out_of_reach(repository: str, revision: str | None = None, files: tuple[str, ...] = FILES) -> str | None:
    """Why nothing can be had of a repository, known at once; None where it lies in the cache, or the hub may answer."""
    host = urlparse(huggingface_hub.constants.ENDPOINT).hostname or ""
    if is_cached(repository, revision, files) or any(os.environ.get(proxy) for proxy in _PROXIES):
        return None
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return f"{host} cannot be reached and {repository} is not in the cache"
    return None
