"""``preceptor report --verify``."""

from pathlib import Path

import typer

from preceptor.screen import Screen
from preceptor.verify.check import Checked, verified

_SHOWN = 20
"""Differing cells of a table that are listed."""


def verify_report(folders: list[Path], out: Path) -> None:
    """Say which numbers of the tables in ``out`` the predictions give, which not, and which they cannot give.

    Raises:
        typer.Exit: 1 where a number differs.
    """
    console = Screen()
    found = verified(folders, out)
    for table in found:
        for line in _lines(table):
            console.print(line, highlight=False, soft_wrap=True, markup=False)
    counts = [sum(table.count(verdict) for table in found) for verdict in ("agrees", "differs", "unknown")]
    said = "verified: nothing, for no number of these tables comes from predictions"
    if any(counts[:2]):
        said = f"verified: {counts[0]:,} numbers agree, {counts[1]:,} differ, {counts[2]:,} cannot be computed again"
    console.print(said, highlight=False, soft_wrap=True)
    if counts[1]:
        raise typer.Exit(1)


def _lines(table: Checked) -> list[str]:
    agree, differ, unknown = (table.count(verdict) for verdict in ("agrees", "differs", "unknown"))
    if not table.cells:
        return [f"{table.slug}-{table.name}: no numbers"]
    lines = [f"{table.slug}-{table.name}: {agree:,} agree, {differ:,} differ, {unknown:,} cannot be computed again"]
    for cell in table.differing[:_SHOWN]:
        computed = cell.computed or "nothing"
        lines.append(f"  differs: {cell.row}; {cell.column}: written {cell.written}, computed {computed}")
    if differ > _SHOWN:
        lines.append(f"  and {differ - _SHOWN:,} more")
    return [*lines, *(f"  {count:,} not: {why}" for why, count in table.reasons.items())]
