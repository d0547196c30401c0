"""preceptor: small biomedical image networks that learn from big ones and from each other.

Every public name is imported when it is asked for, so that ``import preceptor`` waits for nothing.
"""

import random
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from preceptor.errors import UserError
    from preceptor.face.cohort import Cohort
    from preceptor.face.edges import frozen, mutual, teach
    from preceptor.face.fit import fit
    from preceptor.face.run import load_run, train
    from preceptor.face.taps import taps
    from preceptor.plan.edge import Ramp
    from preceptor.recipe import Recipe

__version__ = "0.1.0"

_HOMES = {
    "Cohort": "face.cohort",
    "Ramp": "plan.edge",
    "Recipe": "recipe",
    "UserError": "errors",
    "fit": "face.fit",
    "frozen": "face.edges",
    "load_run": "face.run",
    "mutual": "face.edges",
    "taps": "face.taps",
    "teach": "face.edges",
    "train": "face.run",
}
"""Public name -> where it is; all others are losses."""

__all__ = [
    "Cohort", "Ramp", "Recipe", "UserError", "fit", "frozen", "load_run", "mutual", "taps", "teach", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name.startswith("_") or (name.islower() and name not in _HOMES):
        raise AttributeError(f"module 'preceptor' has no attribute {name!r}")
    before = random.getstate()
    home = import_module(f"preceptor.{_HOMES.get(name, 'face.losses')}")
    random.setstate(before)  # a library somewhere below draws from Python's generator when it is imported
    if name not in _HOMES and name not in home.__all__:
        raise AttributeError(f"module 'preceptor' has no attribute {name!r}; it has {', '.join(__dir__())}")
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*__all__, *import_module("preceptor.face.losses").__all__, "__version__"})
