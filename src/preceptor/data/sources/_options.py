"""Options of a source, checked against the signature of its function."""

import difflib
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from preceptor.data.names import check_names
from preceptor.data.samples import SampleTable
from preceptor.errors import UserError
from preceptor.files import expand

Source = Callable[..., SampleTable]


def nearest_or_all(name: str, valid: Iterable[str]) -> str:
    """The end of an error about ``name``: the nearest valid name and all of them."""
    names = list(valid)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}(valid: {', '.join(names)})" if names else "(it has none)"


def checked_options(key: str, source: Source, options: Mapping[str, Any]) -> dict[str, Any]:
    """``options`` as the types that ``source`` declares.

    Raises:
        UserError: an option that it does not have, or a value of another type.
    """
    parameters = {name: item for name, item in _signature(source).items() if item.kind is item.KEYWORD_ONLY}
    valid: dict[str, Any] = {}
    for name, value in options.items():
        if name not in parameters:
            raise UserError(f"source {key!r} has no option {name!r}: {nearest_or_all(name, parameters)}")
        config = ConfigDict(coerce_numbers_to_str=True)
        try:
            valid[name] = TypeAdapter(parameters[name].annotation, config=config).validate_python(value)
        except ValidationError as error:
            detail = error.errors(include_url=False)[0]
            where = "".join(f"[{part}]" for part in detail["loc"] if isinstance(part, int))
            raise UserError(f"source {key!r}: option {name}{where} is {value!r}: {detail['msg']}") from None
    missing = [name for name, item in parameters.items() if item.default is item.empty and name not in options]
    if missing:
        raise UserError(f"source {key!r} needs the option {missing[0]!r}")
    return valid


def opened(key: str, source: Source, path: str | None, options: Mapping[str, Any]) -> SampleTable:
    """What ``source`` makes of the data at ``path``.

    Raises:
        UserError: see :func:`checked_options`; no path where one is needed, or one that cannot be used.
    """
    valid = checked_options(key, source, options)
    if path is not None:
        place = expand(path)
        if not path.strip():
            raise UserError(f"source {key!r} needs a path to its files: data.path is empty")
        check_names("path of the data", (os.path.abspath(place),))
        return source(place, **valid)
    if needs_path(source):
        raise UserError(f"source {key!r} needs a path to its files")
    return source(**valid)


def needs_path(source: Source) -> bool:
    """Whether the source cannot do without a path."""
    return _signature(source)["path"].default is inspect.Parameter.empty


def has_option(source: Source, name: str) -> bool:
    """Whether the source itself has an option of this name."""
    return name in _signature(source)


def _signature(source: Source) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(source, eval_str=True).parameters
