"""``preceptor evaluate``."""

from pathlib import Path

from rich.table import Table

from preceptor.cli.train import console_of_first_process
from preceptor.errors import UserError
from preceptor.recipe import load_recipe
from preceptor.runs.names import NETWORKS, RECIPE
from preceptor.runs.result import finished_run, unverified


def evaluate_run(run: Path, data: str | None, device: str, masks: Path | None) -> None:
    """Print the scores of a finished run's networks; nothing in the run folder changes."""
    instead = f". `preceptor train {run}/recipe.yaml --out {run}` opens it; --data evaluates on other data"
    result = finished_run(run, with_test=data is None, instead=instead)
    result.verify(RECIPE, NETWORKS)
    console = console_of_first_process()
    if not result.is_sealed:
        console.print(f"note: {unverified(run)}", highlight=False)
    for name in result.gone(NETWORKS):
        console.print(f"note: {run / name} is gone: that network is not looked at", highlight=False, soft_wrap=True)
    recipe, _ = load_recipe(run / RECIPE)
    if masks and recipe.task == "classification":
        raise UserError(f"--masks: {run} classifies and has no masks; leave it out")
    from preceptor.training.exported import evaluate_networks

    evaluation = evaluate_networks(
        recipe,
        run / NETWORKS,
        data=data,
        device=device,
        masks=masks,
        note=lambda note: console.print(f"note: {note}", highlight=False, soft_wrap=True),
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
