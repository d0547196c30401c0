"""A bundle behind HTTP: answers on images that a browser or a script sends."""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.serve.limits import Limits
    from preceptor.serve.server import serve

__all__ = [
    "Limits",
    "serve",
]

__getattr__ = lazy_names(
    __name__,
    {
        "limits": ["Limits"],
        "server": ["serve"],
    },
)
