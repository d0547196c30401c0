"""``preceptor bench``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from preceptor.own_files import settle
from preceptor.recipe import load_recipe
from preceptor.screen import Screen

if TYPE_CHECKING:
    from preceptor.bench.report import BenchReport, StageReport
    from preceptor.bench.steps import Timed


def bench_recipe(path: Path, overrides: list[str], steps: int, device: str, *, trust: bool = False) -> None:
    """Measure one recipe and print what was found."""
    recipe, notes = load_recipe(path, overrides)
    console = Screen()
    settle(recipe, path, partial(console.print, highlight=False, soft_wrap=True), trust=trust)
    for note in notes:
        console.print(f"note: {note}")
    from preceptor.bench.report import bench

    with console.status("measuring") as status:
        report = bench(recipe, steps=steps, device=device, note=status.update)
    print_report(console, report)


def print_report(console: Console, report: BenchReport) -> None:
    """A table for each stage, and what to change first."""
    best = report.best
    console.print(
        f"{report.device}, {report.threads} threads, {report.precision}; at best {_rate(best.rate)} "
        f"(matrix product {_rate(best.product)}, 3x3 convolution {_rate(best.convolution)})",
        highlight=False,
        soft_wrap=True,
    )
    for stage in report.stages:
        minutes = f"{stage.seconds / 60:.1f} min" if stage.seconds >= 90 else f"{stage.seconds:.0f} s"
        epochs = f"{stage.pace.epochs} epochs of {stage.pace.steps} steps in {minutes}"
        console.print(f"stage {stage.name}: batch size {stage.batch_size}, {epochs}", highlight=False, soft_wrap=True)
        console.print(_table(report, stage))
    for one in report.tried:
        tried = f"tried on stage {report.slowest}: {one.change.words}: {one.gain:.2f} times as many images per second"
        console.print(tried, highlight=False, soft_wrap=True)
    console.print(f"first thing to change: {report.advice}", highlight=False, soft_wrap=True)


def _table(report: BenchReport, stage: StageReport) -> Table:
    from preceptor.bench.steps import parts_in_order

    pace = stage.pace
    columns = [("teacher computed", pace.computed), ("teacher read", pace.read)] if pace.read else [("", pace.computed)]
    timed = [one for _, one in columns if one]
    table = Table(box=None, show_header=len(columns) > 1)
    table.add_column("")
    for name, _ in columns:
        table.add_column(name, justify="right")
    table.add_row("images per second", *(f"{stage.batch_size / one.seconds:.1f}" for one in timed))
    table.add_row("a step", *(f"{1e3 * one.seconds:.1f} ms" for one in timed))
    for part in parts_in_order(pace.computed.shares):
        table.add_row(f"  {part}", *(_percent(one.shares.get(part, 0.0)) for one in timed))
    table.add_row("  everything else", *(_percent(1.0 - sum(one.shares.values())) for one in timed))
    table.add_row("multiply-adds", *(_rate(one.multiply_adds / one.seconds) for one in timed))
    table.add_row("  of the best", *(_used(one, report.best.rate) for one in timed))
    return table


def _used(timed: Timed, best: float) -> str:
    return _percent(timed.multiply_adds / timed.seconds / best)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _rate(per_second: float) -> str:
    return f"{per_second / 1e9:,.1f} G/s"
