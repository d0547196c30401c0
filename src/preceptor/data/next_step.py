"""The command that trains on data as it was inspected."""

import json
import shlex

from preceptor.data.inspect import Inspection

_RECIPES = {
    "breakhis": "kthf2_breakhis_binary",
    "chase_db1": "chase_db1",
    "ham10000": "ham10000_small",
    "histopathologic_cancer": "hcd",
    "lgg": "lgg",
    "dsb2018": "dsb2018_small",
}
"""Shipped recipes for data sets with a source of their own."""
_USUAL = {"classification": "phantom", "segmentation": "dsb2018_small"}
_SIDES = (32, 64, 96, 128, 224, 256, 320, 384, 512)


def next_command(found: Inspection) -> str:
    """The command to run next, as it may be pasted into a shell; shipped recipes lie in ``recipes/``."""
    recipe = _RECIPES.get(found.source)
    changes: list[tuple[str, str]] = []
    if recipe is None or (found.source == "ham10000" and found.task == "segmentation"):
        recipe = _USUAL[found.task]
        changes += [("data.source", found.source), ("data.image_size", str(_side(found))), ("split.by", "auto")]
        changes += [("data.resize", "squash")]
    if found.path is not None:
        changes.append(("data.path", found.path))
    if found.options or recipe in _USUAL.values():
        changes.append(("data.options", json.dumps(found.options, ensure_ascii=False)))
    told = [shlex.quote(f"{key}={value}") for key, value in changes]
    return " ".join(["preceptor train", f"recipes/{recipe}.yaml", "--set", *told])


def _side(found: Inspection) -> int:
    """A usual size, a multiple of 32, near the shorter side of most images."""
    shorter = min(next(iter(found.sizes), (224, 224)))
    return min(_SIDES, key=lambda side: abs(side - shorter))
