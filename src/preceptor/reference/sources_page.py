"""``docs/sources.md``: every data source and its options."""

import inspect
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from preceptor.data.layouts import FolderLayout
from preceptor.data.pixels import OPTIONS, PixelRules
from preceptor.data.sources import SOURCES
from preceptor.data.sources.paths import LayoutSource
from preceptor.reference.words import docstring_as_markdown, kind
from preceptor.signatures import arguments_of

_PAGE = """\
# Every data source

<!-- Written by `preceptor data sources --markdown`; a test fails where the two differ. -->

A source turns files into samples. `preceptor data inspect FOLDER` and `preceptor init FOLDER` recognise the source and
its options; a recipe names them:

```yaml
data:
  source: folder
  path: slides
  options: {group: '^(p[0-9]+)_', grouping: patient}
```

On the command line they are `--source folder --option grouping=patient`. A source of your own is one function:
[own-source.md](own-source.md). What becomes of pixels is on [images.md](images.md).
"""


_SITE = (
    "| `site` | text | `null` | where images were made: a regular expression searched in the place of each image below "
    "the folder of the data; its first bracket, or all that it matches, is the site (of the source `table`: a column). "
    "[Reports](report.md) and `preceptor data inspect` say which sites look unlike the others. Without it, TCGA's and "
    "ADNI's names tell it. |"
)


def source_rows() -> list[tuple[str, str]]:
    """Each source with what it reads, in one line."""
    return [(key, _summary(source)) for key, source in SOURCES.items()]


def sources_page() -> str:
    """Every source with its options, then the options that all sources of image files have."""
    blocks = [_PAGE]
    for key, source in SOURCES.items():
        blocks += [f"## {key}\n", *_about(source), _options(source)]
    blocks += [
        "## Options of every source whose images are files\n",
        "| option | what it may be | default | what it means |\n| --- | --- | --- | --- |",
        _SITE,
        _pixel_rows(),
    ]
    return "\n".join(blocks)


def _summary(source: Any) -> str:
    if isinstance(source, LayoutSource):
        return f"{source.layout.title[0].upper()}{source.layout.title[1:]}."
    return docstring_as_markdown((inspect.getdoc(source) or "").partition("\n")[0])


def _about(source: Any) -> list[str]:
    if isinstance(source, LayoutSource):
        return [_summary(source) + "\n", *_of_layout(source.layout)]
    text = (inspect.getdoc(source) or "").partition("\nArgs:")[0].partition("\nRaises:")[0]
    return [docstring_as_markdown(text).strip() + "\n"]


def _of_layout(layout: FolderLayout) -> list[str]:
    examples = "\n".join(f"* {', '.join(f'`{file}`' for file in files)}" for files in layout.examples)
    source = f"\nDescribed in {layout.source}.\n" if layout.source else ""
    return [f"For example:\n\n{examples}\n{source}"]


def _options(source: Any) -> str:
    call = source.__call__ if isinstance(source, LayoutSource) else source
    texts = arguments_of(call.__doc__ or "")
    rows = ["| option | what it may be | default | what it means |", "| --- | --- | --- | --- |"]
    for name, one in inspect.signature(call, eval_str=True).parameters.items():
        if one.kind is not one.KEYWORD_ONLY:
            continue
        default = "" if one.default is one.empty else f"`{_plain_value(one.default)}`"
        rows.append(_row(f"`{name}`", _kind(one.annotation), default, docstring_as_markdown(texts.get(name, ""))))
    return "\n".join(rows) + "\n" if len(rows) > 2 else "It has no options of its own.\n"


def _pixel_rows() -> str:
    schema, texts = PixelRules.model_json_schema(), arguments_of(PixelRules.__doc__ or "")
    rows = []
    for name in OPTIONS:
        key = schema["properties"][name]
        rows.append(
            _row(
                f"`{name}`",
                kind(key, {}),
                f"`{_plain_value(key.get('default'))}`",
                docstring_as_markdown(texts.get(name, "")),
            )
        )
    return "\n".join(rows) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _plain_value(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _kind(annotation: Any) -> str:
    """What an option may be, in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_kind(one) for one in inner))
    if origin in (tuple, list) or (isinstance(origin, type) and issubclass(origin, tuple)):
        return f"list: {_kind(inner[0])}" if inner else "list"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"mapping: {_kind(inner[0])} to {_kind(inner[1])}"
    if getattr(annotation, "__metadata__", None):
        return _kind(inner[0])
    return {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}.get(
        annotation, getattr(annotation, "__name__", str(annotation))
    )
