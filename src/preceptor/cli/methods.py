"""``preceptor methods``: what can be chosen by name."""

from rich.console import Console
from rich.table import Table

from preceptor import catalogue


def print_methods() -> None:
    """Print the techniques and the knowledge losses."""
    console = Console()
    for title, rows in (("techniques", catalogue.technique_rows()), ("knowledge losses", catalogue.loss_rows())):
        table = Table(title=title, title_justify="left", box=None)
        for column in rows[0]:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row.values())
        console.print(table)
