"""``preceptor evaluate``."""

import json
from pathlib import Path

from rich.table import Table

from preceptor.cli.train import console_of_first_process
from preceptor.errors import UserError
from preceptor.recipe import load_recipe


def evaluate_run(run: Path, data: str | None, device: str, masks: Path | None) -> None:
    """Print the scores of a finished run's networks; nothing in the run folder changes."""
    if not (run / "result.json").exists():
        raise UserError(f"{run} is no finished run: it has no result.json; finish it with `preceptor train`")
    if data is None and json.loads((run / "result.json").read_text())["status"] != "complete":
        raise UserError(
            f"{run}: its test part is still sealed, as in every trial of a search. `preceptor train {run}/recipe.yaml "
            f"--out {run}` opens it; --data evaluates on other data"
        )
    recipe, _ = load_recipe(run / "recipe.yaml")
    if masks and recipe.task == "classification":
        raise UserError(f"--masks: {run} classifies and has no masks; leave it out")
    from preceptor.training.exported import evaluate_networks

    console = console_of_first_process()
    evaluation = evaluate_networks(
        recipe,
        run / "networks",
        data=data,
        device=device,
        masks=masks,
        tell=lambda note: console.print(f"note: {note}", highlight=False, soft_wrap=True),
    )
    scores, fidelity = evaluation.scores, evaluation.fidelity
    table = Table(title=f"{run}: {'test split' if data is None else data}", box=None)
    metrics = list(next(iter(scores.values())))
    agreement = list(next(iter(fidelity.values()), {}))
    for column in ("network", *metrics, *(f"T {metric}" for metric in agreement)):
        table.add_column(column, justify="left" if column == "network" else "right")
    for name, found in scores.items():
        cells = [f"{found[metric]:.3f}" for metric in metrics]
        cells += [f"{fidelity[name][metric]:.3f}" if name in fidelity else "" for metric in agreement]
        table.add_row(name, *cells)
    console.print(table)
