"""timm and segmentation-models-pytorch, imported without the large modules that they load and hardly use.

torchvision and timm import torch's compiler to mark some functions as not for it, and timm imports wandb where that is
installed. That is three quarters of the computing of their imports, which every command that asks a network would pay.
While they are imported something stands in the places of those modules; it becomes the module itself when anything of
it is used that was not foreseen, then or later.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import FunctionType, ModuleType
from typing import Any

from torch._compile import _disable_dynamo  # how torch itself marks functions before its compiler is loaded

__all__ = ["smp", "timm"]


class StandIn(ModuleType):
    """A module that is imported when something of it is used that is not among its ``ready`` names."""

    def __init__(self, name: str, ready: Mapping[str, Any], *, is_package: bool) -> None:
        super().__init__(name)
        self.__dict__.update(ready)
        self.__dict__["_is_package"] = is_package

    def __getattr__(self, name: str) -> Any:
        # Python and inspect look for such names in every module; only what imports a part of a package wants its path.
        if name.startswith("__") and not (name == "__path__" and self._is_package):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        _leave()
        return getattr(import_module(self.__name__), name)


@contextmanager
def standing_in(*stand_ins: StandIn) -> Iterator[None]:
    """``stand_ins`` are what is imported by their names, until the block ends or one becomes the module itself.

    Modules that are loaded already, are not installed, or were blocked, stay as they are.
    """
    for one in stand_ins:
        package = one.__name__.partition(".")[0]
        if one.__name__ not in sys.modules and (package in sys.modules or find_spec(package) is not None):
            sys.modules[one.__name__] = one
    try:
        yield
    finally:
        _leave()


def _leave() -> None:
    """All at once: a package that is imported must not meet the stand-in of a part of it."""
    for name in [name for name, module in sys.modules.items() if isinstance(module, StandIn)]:
        del sys.modules[name]


def _disable(function: Any = None, recursive: bool = True, **how: Any) -> Any:
    """``torch._dynamo.disable``, for a function from its first call on."""
    if isinstance(function, FunctionType) and recursive:
        return _disable_dynamo(function)
    _leave()
    return import_module("torch._dynamo").disable(function, recursive, **how)


def _is_compile_supported(device: Any) -> Any:
    """``torch._dynamo.utils.is_compile_supported``."""
    _leave()
    return import_module("torch._dynamo.utils").is_compile_supported(device)


with standing_in(
    StandIn("torch._dynamo", {"disable": _disable}, is_package=True),
    StandIn("torch._dynamo.utils", {"is_compile_supported": _is_compile_supported}, is_package=False),
    StandIn("wandb", {}, is_package=True),
):
    import segmentation_models_pytorch as smp
    import timm
