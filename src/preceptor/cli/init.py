"""``preceptor init``."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preceptor.cli.places import name_of_data
from preceptor.errors import UserError
from preceptor.files import write_text
from preceptor.screen import Screen

if TYPE_CHECKING:
    from preceptor.drafting import DraftedFolder, DraftedValue

_SHIPPED = {
    "breakhis": "kthf2_breakhis_binary",
    "chase_db1": "chase_db1",
    "ham10000": "ham10000_small",
    "histopathologic_cancer": "hcd",
    "lgg": "lgg",
    "dsb2018": "dsb2018_small",
}
"""Source -> the recipe in ``recipes/`` that was made for that published set."""


def init_recipe(
    path: str,
    source: str | None,
    options: Mapping[str, Any],
    out: Path | None,
    *,
    channels: int = 3,
    force: bool = False,
) -> None:
    """Write a recipe for the images at ``path``, its reasons as comments, and say what to type next."""
    from preceptor.drafting import as_mapping, ask_hub, choose, look, recipe_text, this_machine
    from preceptor.recipe import parse_recipe

    name = name_of_data({"path": path})
    out = out or Path(f"{name}.yaml")
    _require_free(out, path, force=force)
    has_hub = ask_hub()
    folder = look(path, source, options, channels)
    choices = choose(folder, name, this_machine(has_hub))
    parse_recipe(as_mapping(choices), origin=str(out))
    shipped = _SHIPPED.get(folder.source)
    head = [
        f"A first recipe for {path}, by `preceptor init`. Every value is a proposal: change what you know better.",
        "What is not here has its default; the run folder keeps the recipe with all of them.",
        *([f"This published set has a recipe of its own, too: recipes/{shipped}.yaml."] if shipped else []),
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, recipe_text(choices, head))
    _say(Screen(highlight=False, soft_wrap=True), choices, folder, out)


def _require_free(out: Path, path: str, *, force: bool) -> None:
    if out.suffix not in (".yaml", ".yml"):
        raise UserError(f"--out {out}: a recipe's name ends in .yaml")
    if out.is_dir():
        raise UserError(f"--out {out}: is a folder; give the name of a .yaml file")
    if out.exists() and not force:
        again = shlex.join(["preceptor", "init", path, "--out", str(out), "--force"])
        raise UserError(f"{out} is there already: give another name with --out, or overwrite it by {again}")


def _say(screen: Screen, choices: "Sequence[DraftedValue]", folder: "DraftedFolder", out: Path) -> None:
    """What was chosen, a line each, and the next command."""
    from preceptor.drafting.choose import first_why

    for title, key in (
        ("task", "task"),
        ("source", "data.source"),
        ("size", "data.image_size"),
        ("tiles", "data.tile"),
        ("split", "split.by"),
        ("weights", "networks.teacher"),
        ("epochs", "training.epochs"),
    ):
        if why := first_why(choices, key):
            screen.print(f"{title:<9}{why}")
    for note in (*folder.table.notes, *folder.stored):
        screen.print(f"note     {note}")
    for what in folder.unread:
        screen.print(f"damaged  {what}")
    if folder.unread:
        screen.print("A run stops at damaged images: mend or remove them first; `preceptor data inspect` finds all.")
    screen.print(f"recipe   {out}, with the reasons as comments")
    screen.print(f"\nnext: {shlex.join(['preceptor', 'train', str(out)])}")
