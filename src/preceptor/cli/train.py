"""``preceptor train``."""

import glob
import hashlib
import json
import os
import shlex
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from preceptor.cli.places import RUNS, other_data, slug
from preceptor.errors import UserError
from preceptor.measures.table import MEASURES, agreement_measure
from preceptor.own_files import settle
from preceptor.recipe import Recipe, load_recipe
from preceptor.runs.files import RunFiles
from preceptor.runs.result import RunResult
from preceptor.screen import Screen
from preceptor.yaml_text import read_mapping

_OF_CLASSES = "iou."
"""How the scores of single classes of masks begin that are printed."""
FAREWELL = "stopped: nobody reads the output any more. The same command again goes on from there."
"""Said where `| head` or the like has ended."""


def train_file(path: Path, overrides: list[str], out: Path | None, device: str, *, trust: bool = False) -> None:
    """Train one recipe and print its scores."""
    recipe, notes = load_recipe(path, overrides)
    console = console_of_first_process(farewell=FAREWELL)
    settle(recipe, path, partial(console.print, highlight=False, soft_wrap=True), trust=trust)
    for note in notes:
        console.print(f"note: {note}")
    written = recipe
    recipe, name = named_after_file(path, recipe)
    out = out or default_folder(name, recipe)
    recipe = _as_begun(out, recipe, written)
    from preceptor.training.run import train_recipe

    result = train_recipe(recipe, out, device=device, console=console)
    print_result(console, result)
    console.print(f"run folder: {out}", soft_wrap=True)
    console.print(f"next: {shlex.join(['preceptor', 'report', str(out)])}", highlight=False, soft_wrap=True)


def console_of_first_process(farewell: str = "") -> Screen:
    """A console that says nothing in the other processes of a torchrun job."""
    return Screen(quiet=os.environ.get("RANK", "0") != "0", farewell=farewell)


def named_after_file(path: Path, recipe: Recipe) -> tuple[Recipe, str]:
    """The recipe under a name of its own, and what to call the folder of its runs.

    Both are those of the file ``path``, unless the user gave another name, or the recipe is about other data than its
    file, whose name they then bear.
    """
    own = read_mapping(path, "recipe")
    if recipe.name != str(own.get("name") or ""):
        return recipe, slug(recipe.name) or path.stem
    data = other_data(own.get("data"), recipe.data.model_dump(mode="json"))
    return (recipe, path.stem) if data is None else (recipe.model_copy(update={"name": data}), data)


def _as_begun(out: Path, recipe: Recipe, written: Recipe) -> Recipe:
    """The recipe as it stands in a run that an older version began, which called it by the name of its file."""
    there = RunFiles(out).recipe
    if recipe.name == written.name or not there.is_file():
        return recipe
    return written if load_recipe(there)[0] == written else recipe


def default_folder(name: str, recipe: Recipe) -> Path:
    """``runs/NAME/TECHNIQUE-…``; the digest keeps a changed recipe from meeting an old run.

    It is of what differs from the defaults, so that options which a later version adds lead to no other folder; a run
    of the same recipe that an older version named otherwise is found all the same.
    """
    given = json.dumps(recipe.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
    digest = hashlib.sha256(given.encode()).hexdigest()[:8]
    strategy = recipe.technique.shared
    technique = recipe.technique.name.rpartition("/")[2].replace(":", "-")  # your own is named with its file
    begin = "-".join([technique, *([strategy] if strategy else []), f"seed{recipe.seed}"])
    folder = RUNS / name / f"{begin}-{digest}"
    if not folder.exists():
        for other in sorted(folder.parent.glob(f"{glob.escape(begin)}-" + 8 * "?")):
            if _holds(other, recipe):
                return other
    return folder


def _holds(folder: Path, recipe: Recipe) -> bool:
    """Whether a run of ``recipe`` has begun in ``folder``."""
    try:
        return load_recipe(RunFiles(folder).recipe)[0] == recipe
    except (UserError, OSError):
        return False


def print_result(console: Console, result: RunResult) -> None:
    """The test scores of every network, with what should be known before trusting them."""
    known = MEASURES[result.scored_in].values()
    metrics = [one.name for one in known if one.is_printed and not one.against_teacher]
    metrics += [name for name in result.measures if any(name in one for one in result.test.values())]
    agrees = agreement_measure(result.task).name
    has_agreement = any(agrees in scores for scores in result.fidelity.values())
    table = Table(title=f"{result.technique} {result.strategy or ''}: test", box=None)
    for column in ("network", *metrics, "parameters", *(["agrees with T"] if has_agreement else [])):
        table.add_column(column, justify="left" if column == "network" else "right")
    for name, scores in result.test.items():
        mark = " (chosen)" if name == result.chosen else ""
        size = result.parameters.get(name)
        agreement = result.fidelity.get(name, {}).get(agrees)
        table.add_row(
            name + mark,
            *(f"{scores[metric]:.4f}" if metric in scores else "" for metric in metrics),
            f"{size / 1e6:.2f}M" if size else "",
            *(["" if agreement is None else f"{agreement:.4f}"] if has_agreement else []),
        )
    console.print(table)
    _print_classes(console, result)
    if result.teacher_audit:
        console.print(f"teacher audit: {result.teacher_audit.verdict}", highlight=False)


def _print_classes(console: Console, result: RunResult) -> None:
    """A row for each of several foreground classes of masks, a column for each network."""
    keys = [key for key in next(iter(result.test.values()), {}) if key.startswith(_OF_CLASSES)]
    if not keys:
        return
    table = Table(title="IoU of each class: test", box=None)
    for column in ("class", *result.test):
        table.add_column(column, justify="left" if column == "class" else "right")
    for key in keys:
        table.add_row(key.removeprefix(_OF_CLASSES), *(f"{scores[key]:.4f}" for scores in result.test.values()))
    console.print(table)
