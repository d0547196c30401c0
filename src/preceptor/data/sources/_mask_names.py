"""Names of mask values as nnU-Net's ``dataset.json`` gives them."""

import json
from pathlib import Path

from preceptor.data.sources._layout import some_of
from preceptor.errors import UserError
from preceptor.opening import read_text
from preceptor.quoting import quoted


def mask_names(file: Path) -> tuple[str, ...]:
    """Names by value, from 0 on.

    Raises:
        UserError: no such file, no JSON, no ``labels``, regions (several values), or values that leave one out.
    """
    try:
        content = json.loads(read_text(file, "list of classes"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{quoted(file)} cannot be read as JSON: {error}") from None
    labels = content.get("labels") if isinstance(content, dict) else None
    if not isinstance(labels, dict) or not labels:
        raise UserError(f"{quoted(file)} has no labels: a name and a value for each class were expected")
    regions = [str(name) for name, value in labels.items() if isinstance(value, list)]
    if regions:
        raise UserError(f"{quoted(file)}: {some_of(regions)} are regions of several values: one value a class is read")
    pairs = [(value, name) if isinstance(value, int) else (name, value) for name, value in labels.items()]
    try:
        names = {int(value): str(name) for value, name in pairs}
    except (TypeError, ValueError):
        raise UserError(
            f"{quoted(file)}: labels are no names with whole numbers: {some_of(set(map(str, labels)))}"
        ) from None
    if "ignore" in names.values():
        raise UserError(f"{quoted(file)}: the label ignore, pixels of no class, is not read in this layout")
    if sorted(names) != list(range(len(names))):
        raise UserError(f"{quoted(file)}: labels have the values {sorted(names)}: 0 for the background, then 1, 2 …")
    return tuple(names[value] for value in range(len(names)))
