"""``docs/recipe.md``: every key of a recipe."""

import json
from typing import Any

from preceptor.reference.schema import recipe_schema
from preceptor.reference.words import kind
from preceptor.techniques import TECHNIQUES

_PAGE = """\
# Every key of a recipe

<!-- Written by `preceptor recipe-schema --markdown`; a test fails where the two differ. -->

A recipe is a YAML file that describes one run. `preceptor init FOLDER` writes a first one; the run folder keeps it with
every default filled in. On the command line a key is changed by `--set`, its parts joined by dots:

```sh
preceptor train recipes/phantom.yaml --set training.epochs=2 technique.name=ml
```

Editors complete and check recipes by the JSON Schema that `preceptor recipe-schema` prints. With the YAML extension of
VS Code:

```sh
preceptor recipe-schema > recipe.schema.json
```

and as the first line of the recipe `# yaml-language-server: $schema=recipe.schema.json`.

A key without a default has to be given.
"""

_TECHNIQUES = """\
## Techniques

`technique` names one of these; the table lists what it can be told beside its `name`. What each does, and the losses,
are on [methods.md](methods.md).
"""

_SECTIONS = {
    "DataSpec": "data",
    "TileSpec": "data.tile",
    "SubsetSpec": "data.subset",
    "SplitSpec": "split",
    "LabelsSpec": "split.labels",
    "AugmentSpec": "augment",
    "NetworksSpec": "networks",
    "NetworkSpec": "A network",
    "TaskLossSpec": "task_loss",
    "TrainingSpec": "training",
    "CacheSpec": "training.teacher_cache",
}
"""Part of the schema -> its heading, in the order of the page."""
_BESIDE_TECHNIQUES = {"LossSpec": "A loss", "EdgeSpec": "An edge", "Route": "A route"}
_HEADINGS = _SECTIONS | _BESIDE_TECHNIQUES


def recipe_page() -> str:
    """Every key with what it may be, its default and what it means."""
    schema = recipe_schema()
    parts = schema["$defs"]
    blocks = [_PAGE, "## Recipe\n", _table(schema, parts)]
    for name, heading in _SECTIONS.items():
        blocks += [f"## {heading}\n", f"{parts[name]['description']}\n", _table(parts[name], parts)]
    blocks.append(_TECHNIQUES)
    for key, technique in TECHNIQUES.items():
        part = parts[technique.__name__]
        blocks += [f"### {key}\n", part["description"] + "\n", _table(part, parts, only=technique.options())]
    for name, heading in _BESIDE_TECHNIQUES.items():
        blocks += [f"## {heading}\n", parts[name]["description"] + "\n", _table(parts[name], parts)]
    return "\n".join(blocks)


def _table(part: dict[str, Any], parts: dict[str, Any], only: Any = None) -> str:
    wanted = part.get("required", [])
    rows = ["| key | what it may be | default | what it means |", "| --- | --- | --- | --- |"]
    for name, key in part.get("properties", {}).items():
        if only is not None and name not in only:
            continue
        default = "" if name in wanted else f"`{_shown(key.get('default', {}))}`"
        kinds = "mapping ([techniques](#techniques))" if name == "technique" else kind(key, parts, _HEADINGS)
        cells = (f"`{name}`", kinds, default, str(key.get("description", "")))
        rows.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(rows) + "\n" if len(rows) > 2 else "It has no options.\n"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{}" if not value else "as below"
    return json.dumps(value, ensure_ascii=False)
