"""``preceptor evaluate``."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from preceptor.cli.data import parse_options
from preceptor.cli.train import console_of_first_process
from preceptor.errors import UserError
from preceptor.opened_run import open_run
from preceptor.own_files import own_files_of_data, require_trust
from preceptor.runs.files import RunFiles


def evaluate_run(
    run: Path,
    data: str | None,
    device: str,
    masks: Path | None,
    *,
    source: str | None = None,
    options: Sequence[str] = (),
    names: Path | None = None,
    trust: bool = False,
) -> None:
    """Print the scores of a finished run's networks; nothing in the run folder changes."""
    if names is not None and data is None:
        raise UserError("--map says what the classes of other data are called; give --data too")
    if data is None and (source or options):
        raise UserError("--source and --option say how other data lie; give --data too")
    instead = f". `preceptor train {RunFiles(run).recipe} --out {run}` opens it; --data evaluates on other data"
    opened = open_run(run, with_test=data is None, instead=instead, trust=trust)
    console = console_of_first_process()

    def note(line: str) -> None:
        console.print(f"note: {line}", highlight=False, soft_wrap=True)

    for line in opened.notes:
        note(line)
    if not trust:
        require_trust(own_files_of_data(opened.recipe), opened.files.recipe)
    if masks and opened.recipe.task == "classification":
        raise UserError(f"--masks: {run} classifies and has no masks; leave it out")
    from preceptor.data.class_map import read_class_map

    mapped = None if names is None else read_class_map(names)
    evaluation = opened.evaluate(
        data=data,
        source=source,
        options=parse_options(list(options)),
        device=device,
        masks=masks,
        names=mapped,
        note=note,
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
