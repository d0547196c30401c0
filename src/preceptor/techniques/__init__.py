"""How a recipe becomes stages: one paper a file."""

from collections.abc import Callable

from preceptor.cohort.stage import Plan
from preceptor.techniques.context import Context
from preceptor.techniques.graph import graph
from preceptor.techniques.mixture import mixture

TECHNIQUES: dict[str, Callable[[Context], Plan]] = {
    "baseline": mixture,
    "kd_offline": mixture,
    "kd_online": mixture,
    "ml": mixture,
    "kd_ml": mixture,
    "graph": graph,
}

__all__ = ["TECHNIQUES", "Context", "Plan"]
