"""Recipes as a JSON Schema, by which editors complete and check them."""

from typing import Any

from preceptor.recipe import Recipe
from preceptor.reference.words import docstring_as_markdown
from preceptor.signatures import arguments_of
from preceptor.specs import Model

Json = dict[str, Any]


def recipe_schema() -> Json:
    """The schema of a recipe, each key with what it means; draft 2020-12."""
    made = Recipe.model_json_schema()
    texts = _texts()
    for title, part in {**made["$defs"], "Recipe": made}.items():
        part["description"] = docstring_as_markdown(str(part.get("description", "")).partition("\n")[0])
        for name, key in part.get("properties", {}).items():
            if said := texts.get(title, {}).get(name):
                key["description"] = said
    technique = made["properties"]["technique"]
    technique.pop("discriminator", None)
    technique["oneOf"].append(_OWN)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


_OWN: Json = {
    "type": "object",
    "description": "A technique of your own, named path/to/file.py:Name; its options stand beside its name.",
    "properties": {"name": {"type": "string", "pattern": r"^[^:]+:[^:]+$"}},
    "required": ["name"],
}


def _texts() -> dict[str, dict[str, str]]:
    """Name of a part of a recipe -> key -> what it means."""
    return {one.__name__: _of(one) for one in _below(Model)}


def _of(model: type[Model]) -> dict[str, str]:
    """What its keys mean, those of the classes that it is made from too."""
    texts: dict[str, str] = {}
    for one in reversed(model.__mro__):
        texts |= arguments_of(one.__doc__ or "")
    return {name: docstring_as_markdown(text) for name, text in texts.items()}


def _below(model: type[Model]) -> list[type[Model]]:
    return [found for one in model.__subclasses__() for found in (one, *_below(one))]
