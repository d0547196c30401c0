"""``preceptor compare``."""

from pathlib import Path

from rich.table import Table

from preceptor.cli.data import parse_options
from preceptor.data.class_map import read_class_map
from preceptor.screen import Screen


def compare_networks(
    first: Path,
    second: Path,
    data: str,
    *,
    source: str,
    options: list[str],
    names: Path | None,
    margin: float,
    device: str,
) -> None:
    """Print what both score, and whether the first may take the place of the second."""
    from preceptor.deploy.compare import compare_networks

    console = Screen()
    mapped, of_source = None if names is None else read_class_map(names), parse_options(options)
    with console.status("answering"):
        found = compare_networks(
            first, second, data, source=source, options=of_source, names=mapped, margin=margin, device=device
        )
    table = Table(title=f"{data}: {found.samples} images", box=None)
    for column in ("", first.name, second.name, "difference", "95 % interval"):
        table.add_column(column, justify="right" if column else "left")
    for row in found.rows:
        ends = f"{row.gap.low:+.3f} to {row.gap.high:+.3f}"
        table.add_row(row.label, f"{row.first:.3f}", f"{row.second:.3f}", f"{row.gap.value:+.3f}", ends)
    console.print(table)
    console.print(found.words, highlight=False, soft_wrap=True)
    for line in found.notes:
        console.print(f"note: {line}", highlight=False, soft_wrap=True)
