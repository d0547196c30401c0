"""Of which kinds a value may be, by the models that recipes are made of."""

from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel


def kinds_at(model: type[BaseModel], keys: Sequence[str]) -> set[type]:
    """The types that the value at the dotted key ``keys`` may have; nothing where no model says it.

    ``object`` stands for anything, and where several models have the key, all their types are there.
    """
    found: set[type] = set()
    for annotation in _descend(model, keys):
        found |= set(_leaves(annotation))
    return found


def _descend(annotation: Any, keys: Sequence[str]) -> Iterator[Any]:
    if not keys:
        yield annotation
        return
    for choice in _choices(annotation):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            if keys[0] in choice.model_fields:
                yield from _descend(choice.model_fields[keys[0]].annotation, keys[1:])
        elif get_origin(choice) is dict:
            yield from _descend(get_args(choice)[1], keys[1:])
        elif choice is Any:
            yield Any


def _choices(annotation: Any) -> Iterator[Any]:
    """What a value may be one of."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _choices(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from _choices(part)
    else:
        yield annotation


def _leaves(annotation: Any) -> Iterator[type]:
    for choice in _choices(annotation):
        if choice is None:
            yield NoneType
        elif get_origin(choice) is Literal:
            yield from map(type, get_args(choice))
        else:
            yield choice if isinstance(choice, type) else get_origin(choice) or object


def keys_below(model: type[BaseModel]) -> list[tuple[str, str]]:
    """(field, field of the model in it): every dotted key of two parts that ``model`` itself has."""
    return [
        (name, key)
        for name, field in model.model_fields.items()
        for key in dict.fromkeys(
            key
            for choice in _choices(field.annotation)
            if isinstance(choice, type) and issubclass(choice, BaseModel)
            for key in choice.model_fields
        )
    ]
