"""``preceptor demo``: the main job in small, on phantom tissue."""

import time
from pathlib import Path

from rich.table import Table

from preceptor.measures.table import agreement_measure, main_measure
from preceptor.recipe import load_recipe
from preceptor.runs.result import RunResult
from preceptor.screen import Screen
from preceptor.shipped import shipped_recipe

_RUNS = {
    "teacher": ("technique.name=baseline", "technique.network=teacher"),
    "baseline": ("technique.name=baseline",),
    "kd_offline": ("technique.name=kd_offline", "technique.strategy=predictions"),
    "ml": ("technique.name=ml", "technique.strategy=predictions"),
    "kd_ml": ("technique.name=kd_ml", "technique.strategy=diverse"),
}


def run_demo(out: Path) -> None:
    """Train the five runs below ``out``, print one table and write a report; finished runs are not repeated."""
    from preceptor.report import write_report
    from preceptor.training.run import train_recipe

    console = Screen()
    began = time.monotonic()
    results: dict[str, RunResult] = {}
    for name, overrides in _RUNS.items():
        teacher = [f"technique.teacher={out / 'teacher'}"] if name == "kd_offline" else []
        recipe, _ = load_recipe(shipped_recipe("phantom"), [*overrides, *teacher])
        console.rule(name)
        results[name] = train_recipe(recipe, out / name, device="cpu", console=console)
    console.print(_table(results))
    for name, result in results.items():
        if result.teacher_audit:
            console.print(f"{name}: {result.teacher_audit.verdict}", highlight=False)
    page = write_report([out], out)
    console.print(
        f"One seed on a small generated test set: see how it works here, not which method is best.\n"
        f"{time.monotonic() - began:.0f} s; run folders in {out}"
    )
    console.print(f"report: {page}\n\n{NEXT}", highlight=False, soft_wrap=True)


NEXT = """next: preceptor init FOLDER     a recipe for images of your own, with its reasons
      preceptor plan phantom    what the demo's runs are: stages, losses as formulas"""


def _table(results: dict[str, RunResult]) -> Table:
    main, agreement = main_measure("classification"), agreement_measure("classification")
    table = Table(title="test accuracy on phantom tissue, 8 classes (chance 0.125)", box=None)
    for column in ("run", "T", "S1", "S2", "ensemble", agreement.label):
        table.add_column(column, justify="left" if column == "run" else "right")
    for name, result in results.items():
        cells = [result.test.get(network, {}).get(main.name) for network in ("T", "S1", "S2", "ensemble")]
        cells.append(result.fidelity.get("ensemble", {}).get(agreement.name))
        table.add_row(name, *("" if cell is None else f"{cell:.3f}" for cell in cells))
    return table
