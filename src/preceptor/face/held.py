"""The random generators that loaders hold, wherever: in data sets, samplers, transforms, functions, lists of them."""

import inspect
import io
import sys
import sysconfig
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import PurePath
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, get_args

import numpy as np
import torch
from torch.utils.data import DataLoader

from preceptor.face.generators import Generator, is_shared, source_of, state_of

_DEEPEST = 30
_MOST = 200_000
_PLAIN = frozenset({str, bytes, int, float, bool, complex, type(None), torch.Tensor, np.ndarray})
_CLOSED = (str, bytes, int, float, complex, PurePath, np.ndarray, np.generic, torch.Tensor, ModuleType, type, io.IOBase)
_SHORT = 16

Part = tuple[str, object]


@dataclass
class Held:
    """What was found.

    Args:
        generators: those whose state can be kept, by where they are: ``train_loader.dataset.rng``.
        lost: where something is that cannot be kept, and what it is.
        is_whole: everything was looked at.
    """

    generators: dict[str, Generator] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    is_whole: bool = True


def held_by(roots: Mapping[str, object]) -> Held:
    """Look through attributes, containers, functions and their surroundings, the nearest first."""
    found, seen, count = Held(), dict[int, object](), 0
    waiting = deque((name, one, 0) for name, one in roots.items())
    while waiting:
        path, one, depth = waiting.popleft()
        if id(one) in seen or isinstance(one, _CLOSED):
            continue
        seen[id(one)] = one  # which keeps it, and so its id
        count += 1
        if isinstance(one, get_args(Generator)):
            _note(path, one, found, seen)
        elif reason := _lost(one):
            found.lost[path] = reason
        elif depth == _DEEPEST or count > _MOST:
            found.is_whole = False
        else:
            waiting.extend((path + name, part, depth + 1) for name, part in _parts(one) if not _is_plain(part))
    return found


def _note(path: str, one: Generator, found: Held, seen: dict[int, object]) -> None:
    source = source_of(one)
    if is_shared(one) or (source is not one and id(source) in seen):
        return
    seen[id(source)] = source
    if state_of(one) is None:
        found.lost[path] = "draws from the operating system"
    else:
        found.generators[path] = one


def _lost(one: object) -> str:
    """What of ``one`` cannot be kept, from which numbers may come; empty where it can, or can be looked into."""
    if isinstance(one, np.random.SeedSequence):
        return "is a SeedSequence, which cannot be put back"
    if isinstance(one, Iterator) and not hasattr(one, "__dict__"):
        return f"is read once ({type(one).__name__}), and how far cannot be kept"
    return ""


def _is_plain(one: object) -> bool:
    """Whether nothing can be in it; quick, for data sets with a row for each of many samples."""
    kind = type(one)
    if kind in _PLAIN:
        return True
    return kind in (tuple, list) and len(one) <= _SHORT and all(map(_is_plain, one))  # type: ignore[arg-type,call-overload]  # of these kinds


def _parts(one: Any) -> Iterator[Part]:
    """What ``one`` holds, with how it is reached."""
    if isinstance(one, Mapping):
        yield from ((f"[{_key(key, place)}]", part) for place, (key, part) in enumerate(one.items()))
    elif isinstance(one, list | tuple | deque):
        yield from ((f"[{place}]", part) for place, part in enumerate(one))
    if isinstance(one, partial):
        yield from ((".func", one.func), (".args", one.args), (".keywords", one.keywords))
    elif isinstance(one, MethodType):
        yield from ((".__self__", one.__self__), (".__func__", one.__func__))
    elif isinstance(one, FunctionType):
        yield from _of_function(one)
    yield from _attributes(one)


def _key(key: object, place: int) -> str:
    return repr(key) if isinstance(key, str | int) else f"entry {place}"


def _attributes(one: Any) -> Iterator[Part]:
    """Of the object, then of its class where that is the user's own."""
    for name, part in list(getattr(one, "__dict__", {}).items()):
        if not (isinstance(one, DataLoader) and name == "_iterator"):  # what workers are in the middle of
            yield f".{name}", part
    for kind in type(one).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if not name.endswith("__"):
                hidden = f"_{kind.__name__.lstrip('_')}{name}" if name.startswith("__") else name
                yield f".{name}", getattr(one, hidden, None)
        if _is_own(kind.__module__):
            yield from ((f".{name}", _bare(part)) for name, part in list(vars(kind).items()))


def _bare(part: object) -> object:
    """The function of a method, whichever way it is bound."""
    if isinstance(part, property):
        return part.fget
    return part.__func__ if isinstance(part, staticmethod | classmethod) else part


def _of_function(function: FunctionType) -> Iterator[Part]:
    """What it encloses, its defaults, and, where it is the user's own, what it names in its module."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f".{name}", cell.cell_contents
        except ValueError:  # it is not filled yet
            continue
    yield ".__defaults__", function.__defaults__
    yield ".__kwdefaults__", function.__kwdefaults__
    if _is_own(function.__module__):
        named = (name for name in _names(function.__code__) if name in function.__globals__)
        yield from ((f" -> {function.__module__}.{name}", function.__globals__[name]) for name in named)


def _names(code: CodeType) -> Iterator[str]:
    """What a function, and those written inside it, look up by name."""
    yield from code.co_names
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _names(constant)


@cache
def _is_own(module: str | None) -> bool:
    """Whether a module is the user's own, rather than Python's or an installed library's."""
    top = (module or "").partition(".")[0]
    if not top or top in sys.stdlib_module_names or top in ("preceptor", "torch", "numpy"):
        return False
    file = getattr(sys.modules.get(module or ""), "__file__", None) or ""
    libraries = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return not any(file.startswith(path + "/") for path in libraries)
