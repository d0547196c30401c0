"""``preceptor train``."""

import hashlib
import os
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from preceptor.own_files import settle
from preceptor.recipe import Recipe, load_recipe
from preceptor.screen import Screen

FAREWELL = "stopped: nobody reads the output any more. The same command again goes on from there."
"""Said where `| head` or the like has ended."""


def train_recipe(path: Path, overrides: list[str], out: Path | None, device: str, *, trust: bool = False) -> None:
    """Train one recipe and print its scores."""
    recipe, notes = load_recipe(path, overrides)
    console = console_of_first_process(farewell=FAREWELL)
    settle(recipe, path, partial(console.print, highlight=False, soft_wrap=True), trust=trust)
    for note in notes:
        console.print(f"note: {note}")
    out = out or default_folder(path, recipe)
    from preceptor.training.run import train

    result = train(recipe, out, device=device, console=console)
    print_result(console, result)
    console.print(f"run folder: {out}")


def console_of_first_process(farewell: str = "") -> Screen:
    """A console that says nothing in the other processes of a torchrun job."""
    return Screen(quiet=os.environ.get("RANK", "0") != "0", farewell=farewell)


def default_folder(path: Path, recipe: Recipe) -> Path:
    """``runs/RECIPE/TECHNIQUE-…``; the digest keeps a changed recipe from meeting an old run."""
    digest = hashlib.sha256(recipe.to_yaml().encode()).hexdigest()[:8]
    strategy = getattr(recipe.technique, "shared", None)
    parts = [recipe.technique.name, *([strategy] if strategy else []), f"seed{recipe.seed}", digest]
    return Path("runs") / path.stem / "-".join(parts)


def print_result(console: Console, result: dict[str, Any]) -> None:
    """The test scores of every network, with what should be known before trusting them."""
    metrics = {
        "classification": ("accuracy", "f1", "auroc", "ece"),
        "segmentation": ("iou", "f1", "iou_per_image"),
    }[result["task"]]
    table = Table(title=f"{result['technique']} {result['strategy'] or ''}: test", box=None)
    for column in ("network", *metrics, "parameters", "agrees with T"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for name, scores in result["test"].items():
        mark = " (chosen)" if name == result["chosen"] else ""
        size = result["parameters"].get(name)
        agreement = result["fidelity"].get(name, {}).get("agreement" if result["task"] == "classification" else "iou")
        table.add_row(
            name + mark,
            *(f"{scores[metric]:.4f}" for metric in metrics),
            f"{size / 1e6:.2f}M" if size else "",
            "" if agreement is None else f"{agreement:.4f}",
        )
    console.print(table)
    if result["teacher_audit"]:
        console.print(f"teacher audit: {result['teacher_audit']['verdict']}", highlight=False)
