"""Who learns: networks with named taps. ``build`` makes them, ``export`` loads what was saved."""

from preceptor.knowledge.setting import Tap
from preceptor.networks.network import Network
from preceptor.networks.outputs import Knowledge, Outputs

__all__ = ["Knowledge", "Network", "Outputs", "Tap"]
