"""Every knowledge loss of the catalogue as a class for loops of one's own: ``pc.SoftTarget(4)``.

Those that need shapes have parameters of their own, which are made by ``build`` or by a cohort.
"""

from preceptor.face.standalone import Standalone, standalone
from preceptor.knowledge.catalogue import load, losses

_ENTRIES = {entry.class_name.removesuffix("Loss"): entry for entry in losses().values()}

__all__ = sorted(_ENTRIES)


def __getattr__(name: str) -> type[Standalone]:
    if name not in _ENTRIES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = standalone(name, load(_ENTRIES[name]))  # the same class each time
    return found
