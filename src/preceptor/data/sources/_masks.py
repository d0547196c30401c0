"""Options that every source of mask files has: what the pixels of its masks mean."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from preceptor.data.images import FileReader
from preceptor.data.masks.rules import MASK_OPTIONS, MaskRules
from preceptor.data.samples import SampleTable
from preceptor.errors import UserError
from preceptor.specs import IGNORED

_USUAL_CLASSES = ("background", "foreground")


def without_mask_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A source's other options, and those on masks."""
    own = {name: value for name, value in options.items() if name not in MASK_OPTIONS}
    return own, {name: value for name, value in options.items() if name in MASK_OPTIONS}


def with_masks(table: SampleTable, options: Mapping[str, Any]) -> SampleTable:
    """``table`` with masks that mean what ``options`` say.

    Raises:
        UserError: wrong options, or some where masks are no files.
    """
    if table.task == "segmentation" and len(table.classes) > IGNORED:
        raise UserError(f"masks have at most {IGNORED} classes: {len(table.classes)} are named")
    if not options:
        return table
    if not isinstance(table.read, FileReader) or table.read.masks is None:
        raise UserError(f"source {table.source!r} has no option {next(iter(options))!r}: it has no masks in files")
    rules = _ordered(_rules(table.source, options), table)
    classes = tuple(rules.colours_of_classes) or table.classes
    _check_classes(rules, classes, table.source)
    reader = replace(table.read, mask_rules=rules, classes=len(classes))
    return replace(
        table,
        classes=classes,
        read=reader,
        files=reader.files,
        identity="; ".join(filter(None, [table.identity, f"masks {rules.given}"])),
        ignores=rules.ignores,
    )


def _rules(source: str, values: Mapping[str, Any]) -> MaskRules:
    try:
        return MaskRules.model_validate(values)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in detail["loc"][:1])
        message = detail["msg"].removeprefix("Value error, ")
        where = f"option {name} is {values[name]!r}: {message}" if name in values else f"option {message}"
        raise UserError(f"source {source!r}: {where}") from None


def _ordered(rules: MaskRules, table: SampleTable) -> MaskRules:
    """``rules`` with a table of colours in the order of the classes, where these are named."""
    names = set(rules.colours_of_classes)
    if not names or table.classes == _USUAL_CLASSES:
        return rules
    if names != set(table.classes):
        raise UserError(
            f"source {table.source!r}: option mask_colours is of {', '.join(rules.colours_of_classes)}; the classes "
            f"are {', '.join(table.classes)}: name the same, or leave the option classes out"
        )
    colours = {name: rules.colours_of_classes[name] for name in table.classes}
    return rules.model_copy(update={"mask_colours": {**colours, **(rules.mask_colours or {})}})


def _check_classes(rules: MaskRules, classes: tuple[str, ...], source: str) -> None:
    if isinstance(rules.mask_values, tuple) and len(rules.mask_values) != len(classes):
        raise UserError(
            f"source {source!r}: option mask_values has {len(rules.mask_values)} values for {len(classes)} classes, "
            f"{', '.join(classes)}; name as many in the option classes, background first"
        )
    for name in ("mask_threshold", "mask_values"):
        if getattr(rules, name) is not None and len(classes) != 2 and not isinstance(rules.mask_values, tuple):
            raise UserError(
                f"source {source!r}: option {name} tells background from foreground, and there are {len(classes)} "
                f"classes: {', '.join(classes)}; leave it out"
            )
