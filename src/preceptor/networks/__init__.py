"""Who learns: networks with named taps. ``build`` makes them, ``export`` loads what was saved, ``presets`` lists
foundation models."""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.knowledge.setting import Tap
    from preceptor.networks.network import Network
    from preceptor.networks.outputs import Knowledge, Outputs
    from preceptor.networks.presets import PRESETS, Preset

__all__ = ["PRESETS", "Knowledge", "Network", "Outputs", "Preset", "Tap"]

__getattr__ = lazy_names(
    __name__,
    {
        "network": ["Network"],
        "outputs": ["Knowledge", "Outputs", "Tap"],
        "presets": ["PRESETS", "Preset"],
    },
)
