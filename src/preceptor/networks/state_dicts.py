"""The one state dict that is meant in a file, as people save them: beside an optimiser, averaged, wrapped, renamed."""

import argparse
import collections
import datetime
import pathlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

_USUAL = ("state_dict", "model", "model_state_dict")
"""Entries that are taken where names tell nothing, and before others that fit as well."""
_AVERAGED = "n_averaged"  # how many an averaged model has seen: a number beside its tensors
_DEEPEST = 3
_MOST_PARTS = 6
_WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""What compilation, sharding and saving memory put anywhere among the parts of names."""

_NUMPY = ("numpy.core", "numpy._core")
_NUMBERS = [np.dtype(kind) for kind in ("?", "b", "B", "h", "H", "i", "I", "l", "L", "e", "f", "d", "F", "D")]


def harmless_types() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """Types besides tensors that checkpoints hold, of values only: settings, dates, paths, numpy's numbers."""
    from numpy._core import multiarray  # where both live since numpy 2; older files name numpy.core

    functions: tuple[tuple[str, Any], ...] = (("scalar", multiarray.scalar), ("_reconstruct", multiarray._reconstruct))
    dtypes = {type(kind) for kind in _NUMBERS}
    return [
        argparse.Namespace,
        collections.defaultdict,
        dict,
        datetime.datetime,
        datetime.timedelta,
        pathlib.PosixPath,
        pathlib.PurePosixPath,
        np.ndarray,
        np.dtype,
        *dtypes,
        *((function, f"{module}.multiarray.{name}") for name, function in functions for module in _NUMPY),
    ]


@dataclass(frozen=True)
class Taken:
    """The tensors that were taken, and what is to be said of it, or ""."""

    state: dict[str, Tensor]
    said: str = ""


def state_in(found: object, names: Collection[str] = ()) -> Taken | None:
    """The state dict in ``found`` whose names fit those of the network.

    Args:
        found: what a file holds.
        names: of the network's tensors; without them, or where no name fits, the usual places are looked at.

    Returns:
        None where there is no state dict.
    """
    entries = dict(_entries(found))
    fits = [(fit, place, entry) for place, entry in entries.items() if (fit := _fit(entry, names)).hits]
    if not fits:
        return _usual(found)
    best = max(fit.hits for fit, _, _ in fits)
    fitting = [(fit, place, entry) for fit, place, entry in fits if fit.hits == best]
    fit, place, entry = min(fitting, key=lambda one: _rank(one[1]))
    state = {_inside(name, fit.prefix): tensor for name, tensor in entry.items() if _has(name, fit.prefix)}
    dropped = [name for name in entry if not _has(name, fit.prefix)]
    if _AVERAGED in state and _AVERAGED not in names:
        dropped.append(_AVERAGED)
        del state[_AVERAGED]
    others = [other for _, other, _ in fitting if other != place]
    told = [
        *([f"its entry {place}"] if place else []),
        *([f"names without {fit.prefix}."] if fit.prefix else []),
        *([f"not {', '.join(dropped[:3])}{', …' if len(dropped) > 3 else ''}"] if dropped else []),
        *([f"not {', '.join(others)}, which fits too"] if others else []),
    ]
    return Taken(state, "; ".join(told))


@dataclass(frozen=True)
class _Fit:
    """How many names are those of the network behind the best prefix."""

    hits: int
    prefix: str


def _entries(found: object, place: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every mapping with tensors, by where it lies, from the outside in."""
    if not isinstance(found, Mapping) or depth > _DEEPEST:
        return
    tensors = {name: value for name, value in found.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if tensors:
        yield place, tensors
    for name, value in found.items():
        if isinstance(name, str):
            yield from _entries(value, f"{place}.{name}" if place else name, depth + 1)


def _fit(entry: Mapping[str, Tensor], names: Collection[str]) -> _Fit:
    hits: Counter[str] = Counter()
    for name in entry:
        parts = _plain(name)
        for number in range(min(len(parts), _MOST_PARTS)):
            if ".".join(parts[number:]) in names:
                hits[".".join(parts[:number])] += 1
    if not hits:
        return _Fit(0, "")
    prefix = min(hits, key=lambda one: (-hits[one], len(one)))
    return _Fit(hits[prefix], prefix)


def _plain(name: str) -> list[str]:
    """The parts of a name, without what wrappers put among them."""
    return [part for part in name.split(".") if part not in _WRAPPERS]


def _has(name: str, prefix: str) -> bool:
    return not prefix or ".".join(_plain(name)).startswith(f"{prefix}.")


def _inside(name: str, prefix: str) -> str:
    return ".".join(_plain(name)).removeprefix(f"{prefix}." if prefix else "")


def _rank(place: str) -> tuple[int, int, str]:
    return (_USUAL.index(place) if place in _USUAL else len(_USUAL) - 1, place.count("."), place)


def _usual(found: object) -> Taken | None:
    """What is in the usual place, names without what wrappers put in front."""
    for key in _USUAL:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found or not all(isinstance(value, Tensor) for value in found.values()):
        return None
    prefixes = ["module.", *(["model."] if all(name.startswith("model.") for name in found) else [])]
    state = {}
    for name, tensor in found.items():
        plain = ".".join(_plain(name))
        for prefix in prefixes:
            plain = plain.removeprefix(prefix)
        state[plain] = tensor
    return Taken(state)
