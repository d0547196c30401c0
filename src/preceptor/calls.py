"""Functions that say in words what was wrong with a call: an argument that there is not, one too many, one missing."""

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from preceptor.errors import UserError

P = ParamSpec("P")
R = TypeVar("R")


def plainly(function: Callable[P, R]) -> Callable[P, R]:
    """``function``, which raises UserError with the nearest names where Python's own TypeError would come."""
    signature = inspect.signature(function)

    @wraps(function)
    def call(*args: P.args, **named: P.kwargs) -> R:
        try:
            signature.bind(*args, **named)
        except TypeError as error:
            raise UserError(_wrong(function, signature, args, named, str(error))) from None
        return function(*args, **named)

    return call


def as_folder(called: str, folder: Path | str) -> Path:
    """``folder`` as a path.

    Raises:
        UserError: it is none; ``called`` is who wanted one.
    """
    if not isinstance(folder, Path | str):
        raise UserError(f"{called}: the path of a folder was wanted, got {type(folder).__name__}")
    return Path(folder)


def _wrong(
    function: Callable[..., Any],
    signature: inspect.Signature,
    args: Sequence[object],
    named: Mapping[str, object],
    error: str,
) -> str:
    given = [one for name, one in signature.parameters.items() if name not in ("self", "cls")]
    names = [one.name for one in given]
    called = _called(function, args if len(given) < len(signature.parameters) else ())
    bare = signature.replace(
        parameters=[one.replace(annotation=inspect.Parameter.empty) for one in given],
        return_annotation=inspect.Signature.empty,
    )
    unknown = next((name for name in named if name not in names), None)
    if unknown is None:
        return f"{called}: {error}; it is {called}{bare}"
    near = " or ".join(_near(unknown, names))
    return f"{called}: no argument {unknown!r}; {f'did you mean {near}? ' if near else ''}it is {called}{bare}"


def _called(function: Callable[..., Any], args: Sequence[object]) -> str:
    """A function by its name, a method by its object's class, too."""
    if not args:
        return function.__name__
    owner = args[0] if isinstance(args[0], type) else type(args[0])
    return owner.__name__ if function.__name__ == "__init__" else f"{owner.__name__}.{function.__name__}"


def _near(name: str, names: Sequence[str]) -> list[str]:
    """Names like this one, or with this one in them."""
    stem = name.lower().rstrip("s")
    within = [one for one in names if stem and (stem in one or one in name)]
    return list(dict.fromkeys([*difflib.get_close_matches(name, names, n=2, cutoff=0.6), *within]))
