"""Who learns: networks with named taps. ``build`` makes them, ``export`` loads what was saved, ``presets`` lists
foundation models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from preceptor.knowledge.setting import Tap
    from preceptor.networks.network import Network
    from preceptor.networks.outputs import Knowledge, Outputs

_WHERE = {
    "Knowledge": "preceptor.networks.outputs",
    "Network": "preceptor.networks.network",
    "Outputs": "preceptor.networks.outputs",
    "Tap": "preceptor.knowledge.setting",
}
__all__ = ["Knowledge", "Network", "Outputs", "Tap"]


def __getattr__(name: str) -> Any:
    """Public names, imported when they are asked for: what only reads ``presets`` does not wait for torch."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
