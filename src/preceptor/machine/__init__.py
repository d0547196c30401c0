"""How a network is computed on this machine: device, layout, precision, folding, memory."""

from typing import TYPE_CHECKING

from preceptor.lazy_names import lazy_names

if TYPE_CHECKING:
    from preceptor.machine.device import require_device
    from preceptor.machine.fabric import make_fabric
    from preceptor.machine.fold import with_folded_norms
    from preceptor.machine.placement import Placement, fastest_placement, placement_for
    from preceptor.machine.recorder import Recorder

__all__ = [
    "Placement",
    "Recorder",
    "fastest_placement",
    "make_fabric",
    "placement_for",
    "require_device",
    "with_folded_norms",
]

__getattr__ = lazy_names(
    __name__,
    {
        "device": ["require_device"],
        "fabric": ["make_fabric"],
        "fold": ["with_folded_norms"],
        "placement": ["Placement", "fastest_placement", "placement_for"],
        "recorder": ["Recorder"],
    },
)
